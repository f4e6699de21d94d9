"""The paper's rows as data, against the transcription in this file."""

import dataclasses

import pytest

from bench.paper import TABLES
from bench.paper.editions import ARXIV_V1, EDITIONS, ICCV, README
from bench.specs import Published, Row

# Table 3 of the ICCV edition: network, top-1 %, params M, MACs G.
ICCV_TABLE_3 = """
ResNet50      resnet50      76.2  25.5  4.3
ResNet50*     resnet50      79.1  25.5  4.3
T2T-ViT-14    t2t_vit_14    81.5  21.5  4.8
T2T-ViT_t-14  t2t_vit_t_14  81.7  21.5  6.1
ResNet101     resnet101     77.4  44.6  7.9
ResNet101*    resnet101     79.9  44.6  7.9
T2T-ViT-19    t2t_vit_19    81.9  39.2  8.5
T2T-ViT_t-19  t2t_vit_t_19  82.2  39.2  9.8
ResNet152     resnet152     78.3  60.2  11.6
ResNet152*    resnet152     80.8  60.2  11.6
T2T-ViT-24    t2t_vit_24    82.3  64.1  13.8
T2T-ViT_t-24  t2t_vit_t_24  82.6  64.1  15.0
"""

# The rows that the first arXiv version prints otherwise.
ARXIV_V1_TABLE_3 = {
    "T2T-ViT-14": (80.6, 21.4, 4.8),
    "T2T-ViT_t-14": (80.7, 21.5, 5.2),
    "T2T-ViT-19": (81.2, 39.0, 8.0),
    "T2T-ViT_t-19": (81.4, 39.0, 8.4),
    "T2T-ViT-24": (81.8, 63.9, 12.6),
    "T2T-ViT_t-24": (82.2, 64.1, None),
}


def figures(row, edition):
    published, _ = row.figures(edition)
    return published.top1_pct, published.params_m, published.macs_g


def iccv():
    lines = (line.split() for line in ICCV_TABLE_3.strip().splitlines())
    return {name: (network, *map(float, numbers)) for name, network, *numbers in lines}


def test_iccv_is_the_default_and_complete():
    assert EDITIONS[0] is ICCV
    rows = {row.name: (row.run.model, *figures(row, ICCV)) for row in TABLES[3].rows}
    assert rows == iccv()
    assert list(rows) == list(iccv())
    assert all(row.run.img_size == 224 and row.run.dataset == "imagenet" for row in TABLES[3].rows)


def test_arxiv_v1_differs_in_the_t2t_rows():
    for row in TABLES[3].rows:
        assert figures(row, ARXIV_V1) == ARXIV_V1_TABLE_3.get(row.name, iccv()[row.name][1:]), row.name
        assert row.figures(ARXIV_V1)[1] is ARXIV_V1


def test_the_readme_differs_from_iccv_in_one_cell():
    changed = {
        row.name: (mine, theirs)
        for row in TABLES[3].rows
        for mine, theirs in zip(figures(row, README), figures(row, ICCV), strict=True)
        if mine != theirs
    }
    assert changed == {"T2T-ViT_t-19": (82.4, 82.2)}


def test_the_readme_prints_no_cnn_and_says_whose_figures_stand_in():
    for row in TABLES[3].rows:
        expected = ICCV if row.name.startswith("ResNet") else README
        assert row.figures(README)[1] is expected, row.name


def test_rows_that_differ_by_the_star_differ_by_the_recipe():
    rows = {row.name: row for row in TABLES[3].rows}
    for name in ("ResNet50", "ResNet101", "ResNet152"):
        assert rows[name].run.recipe.name == "torchvision"
        assert rows[name + "*"].run.recipe.name == "cnn_t2t"


def test_an_edition_that_prints_nothing_gives_nothing():
    row = dataclasses.replace(TABLES[3].rows[0], published={})
    assert row.figures(README) == (Published(), README)


def test_a_reason_needs_a_printed_figure():
    with pytest.raises(ValueError, match="macs_g"):
        Published(params_m=1.0, why={"macs_g": "because"})
    with pytest.raises(ValueError, match="flops"):
        Published(params_m=1.0, why={"flops": "because"})


def test_specs_are_frozen_and_keyword_only():
    row = TABLES[3].rows[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.name = "another"
    with pytest.raises(TypeError):
        Row("ResNet50", row.run, row.published, "ResNet", "50")
    assert not hasattr(row, "__dict__")
