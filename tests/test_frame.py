"""Rows and measurements joined."""

import pytest

from bench.paper import TABLES
from bench.paper.editions import ARXIV_V1, ICCV, README
from bench.report.frame import COLUMNS, table_frame

PROMISED = (
    "model published_top1_pct top1_pct top1_std seeds published_params_m params_m trainable_params_m "
    "published_macs_g macs_g linear_macs_g source verdict"
).split()


def test_columns_are_those_that_programs_were_promised():
    assert set(PROMISED) <= set(COLUMNS)


def test_a_measured_row(measurements):
    frame = table_frame(TABLES[3], ICCV, measurements).set_index("model")
    row = frame.loc["ResNet50*"]
    assert row["published_macs_g"] == 4.3
    assert row["macs_g"] == 4.111512576
    assert row["macs_difference_g"] == -0.188487424
    assert (row["macs_verdict"], row["params_verdict"], row["verdict"]) == ("differs", "truncates", "differs")
    assert row["source"] == "measured"
    assert row["recipe"] == "cnn_t2t"


def test_what_is_missing_is_na_and_no_number(measurements):
    frame = table_frame(TABLES[3], ICCV, measurements)
    assert len(frame) == 12
    assert frame[["top1_pct", "top1_std", "seeds"]].isna().all(axis=None)
    row = frame.set_index("model").loc["T2T-ViT_t-24"]  # nobody measured it
    for column in ("params_m", "trainable_params_m", "macs_g", "linear_macs_g", "macs_difference_g", "verdict"):
        assert row.isna()[column], column
    assert row["published_macs_g"] == 15.0
    assert row["source"] == "published"


@pytest.mark.parametrize(("edition", "top1"), [(ICCV, 82.2), (ARXIV_V1, 81.4), (README, 82.4)])
def test_the_edition_chooses_the_printed_figures(measurements, edition, top1):
    frame = table_frame(TABLES[3], edition, measurements).set_index("model")
    assert frame.loc["T2T-ViT_t-19", "published_top1_pct"] == top1
    assert frame.loc["T2T-ViT_t-19", "edition"] == edition.name


def test_an_unprinted_figure_has_no_verdict(measurements):
    known = {("t2t_vit_t_24", 224): measurements["t2t_vit_24", 224]}
    row = table_frame(TABLES[3], ARXIV_V1, known).set_index("model").loc["T2T-ViT_t-24"]
    assert row.isna()["published_macs_g"]
    assert row.isna()["macs_verdict"]
    assert row.isna()["macs_difference_g"]
    assert row["verdict"] == row["params_verdict"] == "matches"
