"""The printings of the paper's numbers that t2t-bench knows."""

from bench.spec.table import Edition

ICCV = Edition(
    key="iccv",
    name="ICCV",
    citation="Yuan et al., Tokens-to-Token ViT, ICCV 2021, pages 558-567",
)
ARXIV_V1 = Edition(
    key="arxiv-v1",
    name="arXiv v1",
    citation="Yuan et al., Tokens-to-Token ViT, arXiv 2101.11986v1, January 2021",
)
README = Edition(
    key="readme",
    name="README",
    citation="README of github.com/yitu-opensource/T2T-ViT at commit 0f63dc9",
    amends=ICCV,
)

EDITIONS = (ICCV, ARXIV_V1, README)
"""the default first"""
