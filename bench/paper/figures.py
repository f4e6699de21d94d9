"""The paper's figures."""

FIGURE_TITLES = {
    1: "Top-1 on ImageNet against MACs and params",
    2: "Feature maps of ResNet50, ViT-L/16 and T2T-ViT-24 from early to late layers",
    3: "The Tokens-to-Token process",
    4: "The architecture of T2T-ViT",
    5: "The Ghost block",
}
"""by number"""
