"""The paper's rows as data, against the transcription in this file."""

import dataclasses
import re

import pytest

from bench.paper import TABLES
from bench.paper.editions import ARXIV_V1, EDITIONS, ICCV, README
from bench.spec.table import Published, Row

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
    published, _ = row.printed(edition)
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


# The other tables of the ICCV edition: name | network | top-1 %, params M, MACs G and what else a table prints.
ICCV_TABLES = {
    1: """
ViT-S/16      | vit_s_16              | -  48.6 10.1 | -           8  786  2358
ViT-B/16      | vit_base_patch16_224  | -  86.8 17.6 | -           12 786  3072
ViT-L/16      | vit_large_patch16_224 | - 304.3 63.6 | -           24 1024 4096
T2T-ViT-14    | t2t_vit_14            | -  21.5  4.8 | Performer   14 384  1152
T2T-ViT-19    | t2t_vit_19            | -  39.2  8.5 | Performer   19 448  1344
T2T-ViT-24    | t2t_vit_24            | -  64.1 13.8 | Performer   24 512  1536
T2T-ViT_t-14  | t2t_vit_t_14          | -  21.5  6.1 | Transformer 14 384  1152
T2T-ViT-7     | t2t_vit_7             | -   4.2  1.1 | Performer   8  256  512
T2T-ViT-12    | t2t_vit_12            | -   6.8  1.8 | Performer   12 256  512
""",
    2: """
ViT-S/16             | vit_s_16                         | 78.1  48.6 10.1
DeiT-small           | deit_small_patch16_224           | 79.9  22.1  4.6
DeiT-small-Distilled | deit_small_distilled_patch16_224 | 81.2  22.1  4.7
T2T-ViT-14           | t2t_vit_14                       | 81.5  21.5  4.8
T2T-ViT-14 at 384 px | t2t_vit_14                       | 83.3  21.5 17.1
ViT-B/16             | vit_base_patch16_224             | 79.8  86.4 17.6
ViT-L/16             | vit_large_patch16_224            | 81.1 304.3 63.6
T2T-ViT-24           | t2t_vit_24                       | 82.3  64.1 13.8
""",
    4: """
MobileNetV1 1.0x*      | mobilenetv1_100       | 70.8 4.2 0.6
T2T-ViT-7              | t2t_vit_7             | 71.7 4.3 1.1
T2T-ViT-7-Distilled    | t2t_vit_7_distilled   | 73.1 4.3 1.1
MobileNetV2 1.0x*      | mobilenetv2_100       | 72.8 3.5 0.3
MobileNetV2 1.4x*      | mobilenetv2_140       | 75.6 6.9 0.6
MobileNetV3 (Searched) | mobilenetv3_large_100 | 75.2 5.4 0.2
T2T-ViT-12             | t2t_vit_12            | 76.5 6.9 1.8
T2T-ViT-12-Distilled   | t2t_vit_12_distilled  | 77.4 6.9 1.9
""",
    5: """
ViT-S/16   | vit_s_16   | 78.1 48.6 - | 97.1 87.1
T2T-ViT-14 | t2t_vit_14 | 81.5 21.5 - | 97.5 88.4
T2T-ViT-19 | t2t_vit_19 | 81.9 39.1 - | 98.3 89.0
""",
    6: """
AlexNet            | alexnet                | 56.6  61.1 0.77 | -   -
VGG11              | vgg11                  | 69.1 132.8  7.7 | 11  -
Inception v3       | inception_v3_auxiliary | 77.4  27.2  5.7 | -   -
ResNet50           | resnet50               | 76.2  25.6  4.3 | 50  -
ResNet50*          | resnet50               | 79.1  25.6  4.3 | 50  -
Wide-ResNet18x1.5* | wide_resnet18x1_5      | 78.0  26.0  4.1 | 18  -
DenseNet201*       | densenet201            | 77.5  20.1  4.4 | 201 -
SENet50*           | senet50                | 80.3  28.1  4.9 | 50  -
ResNeXt50*         | resnext50_32x4d        | 79.9  25.0  4.3 | 50  -
ResNet50-Ghost*    | resnet50_ghost         | 76.2  19.9  3.2 | 50  -
ViT-S/16           | vit_s_16               | 78.1  48.6 10.1 | 8   768
ViT-DN             | vit_dn                 | 79.0  24.5  5.5 | 16  384
ViT-SW             | vit_sw                 | 69.9  47.9  9.9 | 4   1024
ViT-Dense          | vit_dense              | 76.8  46.7  9.7 | 19  128-736
ViT-SE             | vit_s_16_se            | 78.4  49.2 10.2 | 8   768
ViT-ResNeXt        | vit_s_16_resnext       | 78.0  48.6 10.1 | 8   768
ViT-Ghost          | vit_s_16_ghost         | 73.7  32.1  6.9 | 8   768
T2T-ViT-14         | t2t_vit_14             | 81.5  21.5  4.8 | 14  384
T2T-ViT-Wide       | t2t_vit_14_wide_no_t2t | 77.9  25.1  5.0 | 14  768
T2T-ViT-Dense      | t2t_vit_dense          | 80.6  23.7  5.5 | 19  128-584
T2T-ViT-SE         | t2t_vit_14_se          | 81.6  21.9  4.9 | 14  384
T2T-ViT-ResNeXt    | t2t_vit_14_resnext     | 81.5  21.5  4.8 | 14  384
T2T-ViT-Ghost      | t2t_vit_16_ghost       | 79.5  16.3  3.7 | 14  384
""",
    7: """
T2T-ViT-14 without T2T | t2t_vit_14_no_t2t | 79.5 21.1 4.2
T2T-ViT-14             | t2t_vit_14        | 81.5 21.5 4.8
T2T-ViT_t-14           | t2t_vit_t_14      | 81.7 21.5 6.1
T2T-ViT_c-14           | t2t_vit_c_14      | 80.8 21.3 4.6
T2T-ViT-14             | t2t_vit_14        | 81.5 21.5 4.8
T2T-ViT-d768-4         | t2t_vit_14_wide   | 78.8 25.0 5.4
""",
}
BESIDE = {1: ("tokens", "depth", "hidden", "mlp"), 6: ("depth", "hidden")}


@pytest.mark.parametrize("number", ICCV_TABLES)
def test_the_other_tables_are_as_printed(number):
    rows = TABLES[number].rows_in(ICCV)
    lines = ICCV_TABLES[number].strip().splitlines()
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        name, network, numbers, *rest = (part.strip() for part in line.split("|"))
        beside = rest[0].split() if rest else []
        assert (row.name, row.network.model) == (name, network)
        assert row.network.model_args == ()
        assert figures(row, ICCV) == tuple(None if text == "-" else float(text) for text in numbers.split()), name
        published, _ = row.printed(ICCV)
        columns = zip(BESIDE.get(number, ()), beside, strict=False)
        assert published.structure == {column: text for column, text in columns if text != "-"}, name
        if number == 5:
            assert [published.cifar10_pct, published.cifar100_pct] == [float(text) for text in beside]
        assert row.network.img_size == {"Inception v3": 299, "T2T-ViT-14 at 384 px": 384}.get(name, 224)


def test_the_tables_have_69_rows_of_45_networks():
    rows = [row for table in TABLES.values() for row in table.rows_in(ICCV)]
    assert len(rows) == 69
    assert len({row.network for row in rows}) == 45


def test_the_readme_adds_a_row_and_figures_of_its_own():
    readme = {
        (n, row.name): row.published[README] for n, t in TABLES.items() for row in t.rows if README in row.published
    }
    assert [row.name for row in TABLES[4].rows_in(README)].count("T2T-ViT-10") == 1
    assert readme[1, "T2T-ViT-12"] == Published(params_m=6.9, macs_g=1.8)
    printed = {}  # of a network the README prints one line, whatever the table
    for (number, name), published in readme.items():
        if number != 5:
            printed.setdefault((name, number == 1), set()).add((published.params_m, published.macs_g))
    assert all(len(figures) == 1 for figures in printed.values())
    assert readme[4, "T2T-ViT-10"] == Published(top1_pct=75.2, params_m=5.9, macs_g=1.5)
    assert readme[2, "T2T-ViT-14 at 384 px"] == Published(top1_pct=83.3, params_m=21.7)
    assert (readme[5, "T2T-ViT-14"].cifar10_pct, readme[5, "T2T-ViT-14"].cifar100_pct) == (98.3, 88.4)
    assert (readme[5, "T2T-ViT-19"].cifar10_pct, readme[5, "T2T-ViT-19"].params_m) == (98.4, 39.2)


def test_baselines_and_the_changes_that_are_printed_otherwise():
    baselines = {(row.group, row.name) for row in TABLES[6].rows if row.baseline}
    assert baselines == {
        ("Skip-connection CNN", "ResNet50*"),
        ("CNN to ViT", "ViT-S/16"),
        ("CNN to T2T-ViT", "T2T-ViT-14"),
    }
    printed = {row.name: row.printed(ICCV)[0].change_pct for row in TABLES[6].rows}
    assert {name: change for name, change in printed.items() if change} == {"T2T-ViT-Wide": -3.4, "T2T-ViT-Dense": -1.1}
    assert not any(row.baseline for number, table in TABLES.items() for row in table.rows if number != 6)


def test_starred_rows_were_retrained_and_no_other_cnn():
    for number in (3, 4, 6):
        for row in TABLES[number].rows:
            is_cnn = bool(re.search("Net|VGG|Inception", row.name))
            starred = row.name.endswith("*")
            recipe = row.run.recipe.name if row.run else None
            assert (recipe in ("cnn_t2t", "cnn_t2t_no_drop_path")) == starred, row.name
            assert recipe in ("torchvision", "torchvision_lr_01", None) or starred or not is_cnn, row.name


def test_table_5_fine_tunes_each_rows_weights_on_both_cifars():
    for row in TABLES[5].rows:
        assert [run.dataset for run in row.transfers] == ["cifar10", "cifar100"]
        assert all(run.start_from == row.run for run in row.transfers)
        assert all(run.recipe.name == "cifar_transfer" for run in row.transfers)
        assert row.runs == (row.run, *row.transfers)


def test_a_row_has_a_run_or_the_network_to_measure():
    row = TABLES[3].rows[0]
    with pytest.raises(ValueError, match="needs a run, or else the network"):
        dataclasses.replace(row, run=None)
    with pytest.raises(ValueError, match="needs a run, or else the network"):
        dataclasses.replace(row, untrained=row.network)


def test_a_row_of_another_edition_is_in_no_other_and_one_of_none_in_each():
    row = TABLES[3].rows[0]
    mine = dataclasses.replace(row, published={})
    readmes = dataclasses.replace(row, published={README: Published(top1_pct=1.0)})
    table = dataclasses.replace(TABLES[3], rows=(row, mine, readmes))
    assert table.rows_in(ICCV) == table.rows_in(ARXIV_V1) == (row, mine)
    assert table.rows_in(README) == (row, mine, readmes)


def test_arxiv_v1_differs_in_the_t2t_rows():
    for row in TABLES[3].rows:
        assert figures(row, ARXIV_V1) == ARXIV_V1_TABLE_3.get(row.name, iccv()[row.name][1:]), row.name
        assert row.printed(ARXIV_V1)[1] is ARXIV_V1


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
        assert row.printed(README)[1] is expected, row.name


def test_rows_that_differ_by_the_star_differ_by_the_recipe():
    rows = {row.name: row for row in TABLES[3].rows}
    for name in ("ResNet50", "ResNet101", "ResNet152"):
        assert rows[name].run.recipe.name == "torchvision"
        assert rows[name + "*"].run.recipe.name == "cnn_t2t"


def test_an_edition_that_prints_nothing_gives_nothing():
    row = dataclasses.replace(TABLES[3].rows[0], published={})
    assert row.printed(README) == (Published(), README)


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
