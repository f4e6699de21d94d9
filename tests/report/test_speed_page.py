"""The page on the speed of networks: its numbers, its sections, its sentences and its picture."""

import shutil

import numpy as np
import pytest

from bench.cli.parser import Output
from bench.cli.speed_report import known_speeds, write_speed
from bench.measure.collect import collect
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.report.figures.speed import speed_figure
from bench.report.frame import table_frame
from bench.results.run_folder import RunRecords
from bench.results.store import save_speed
from bench.spec.run import Network
from tests.conftest import ROOT, made_up_speeds
from tests.report.test_evidence import follow_speed, rows_of, tables_of

EVIDENCE = ROOT / "reports" / "evidence"
ROWS = {row.name: row for table in TABLES.values() for row in table.rows_in(ICCV)}
NAMES = ("ResNet50", "T2T-ViT-14", "T2T-ViT-7", "T2T-ViT-14 at 384 px")
"""as fast in this order as in ``made_up_speeds``"""


@pytest.fixture
def page(tmp_path):
    """Writes the page of speeds, beside the committed counts and accuracies; returns its frame."""
    runs = tmp_path / "runs"
    for name in ("complexity", "recorded"):
        shutil.copytree(EVIDENCE / name, runs / name)

    def written(speeds):
        for speed in speeds:
            save_speed(runs, speed)
        output = Output(runs=runs, reports=tmp_path, as_json=True)
        found = collect(list(ROWS.values()), RunRecords(runs))
        by_table = {number: table_frame(table, ICCV, found) for number, table in TABLES.items()}
        return write_speed(ICCV, by_table, found, known_speeds(output)[0], output)[1]

    return written


def speeds(*names, **others):
    return made_up_speeds(*(ROWS[name].network for name in names), **others)


def test_every_number_is_followed(page, tmp_path):
    page([*speeds(*NAMES), *speeds(*NAMES[:2], gpu="a GPU", rounds=3), *speeds("AlexNet", batch=16, rounds=1)])
    assert follow_speed(tmp_path) == 9
    text = (tmp_path / "speed.md").read_text()
    assert text.index("## Linux, a processor, 2 cores, 2 threads") < text.index("## a GPU\n")
    assert "- rounds: 1 to 5, fewer of slow networks" in text
    assert "- matrix product in bfloat16: 400 GFLOP/s" in text


@pytest.mark.skipif(not (ROOT / "reports/speed.csv").exists(), reason="nobody has measured the networks yet")
def test_every_number_of_the_committed_page():
    assert follow_speed(ROOT / "reports") > 0


def test_rows_that_share_a_network_share_a_measurement(page, tmp_path):
    page(speeds("ResNet50", "T2T-ViT-14"))
    lines = rows_of(tmp_path / "speed.csv")
    assert [(line["model"], line["tables"]) for line in lines] == [
        ("T2T-ViT-14", "1 2 3 5 6 7"),
        ("ResNet50", "3 6"),
        ("ResNet50*", "3 6"),
    ]
    assert lines[1]["train_images_per_s"] == lines[2]["train_images_per_s"]
    assert [line["top1_kind"] for line in lines] == [None, "recorded", None]
    by_speed, by_memory, accuracies = tables_of(tmp_path / "speed.md")
    assert len(by_speed) == len(by_memory) == 2
    assert len(accuracies) == 3


def test_what_the_sentences_say_is_worked_out(page, tmp_path):
    """T2T-ViT-14 beats T2T-ViT-7 in both; ResNet50* beats ResNet50, which is the same network; 384 px is best."""
    page(speeds(*NAMES))
    text = (tmp_path / "speed.md").read_text()
    assert "In training, 3 of 5 rows are unbeaten (no other row is at least as fast, by the medians, and" in text
    named = "ResNet50\\*, T2T-ViT-14 and T2T-ViT-14 at 384 px."
    assert f"slowest: {named} In inference, 3 of 5 rows are unbeaten: {named}\n" in text


def test_networks_outside_the_tables_have_no_accuracy(page, tmp_path):
    page(made_up_speeds(Network("test_resnet", img_size=32)))
    assert [(line["model"], line["network"]) for line in rows_of(tmp_path / "speed.csv")] == [(None, "test_resnet")]
    text = (tmp_path / "speed.md").read_text()
    assert "## Accuracies" not in text
    assert "unbeaten" not in text
    assert "speed.png" not in text
    assert not (tmp_path / "speed.png").exists()


def test_a_speed_of_newer_versions_takes_the_place_of_the_older_one(page, tmp_path):
    page(speeds("ResNet50"))
    page(speeds("ResNet50", versions="2.13.0"))
    assert {line["versions"] for line in rows_of(tmp_path / "speed.csv")} == {"torch 2.13.0"}
    assert len(list((tmp_path / "evidence/speed").iterdir())) == 3


def test_the_picture_shows_every_row_with_both(page):
    frame = page([*speeds(*NAMES), *speeds(*NAMES, batch=16)])
    figure = speed_figure(frame, ICCV)
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "images/s in training, measured here",
        "images/s in inference, measured here",
    ]
    for axes, passes in zip(figure.axes, (3, 1), strict=True):
        front, *marks = (line.get_xydata() for line in axes.lines)
        fast = {"T2T-ViT-14": 2, "ResNet50": 1, "ResNet50*": 1, "T2T-ViT-7": 3, "T2T-ViT-14 at 384 px": 4}
        expected = {(64 / place / passes / 1.02, ROWS[name].printed(ICCV)[0].top1_pct) for name, place in fast.items()}
        assert {tuple(np.round(at[0], 6)) for at in marks} == {tuple(np.round(at, 6)) for at in expected}
        assert [top1 for _, top1 in front] == [79.1, 81.5, 83.3]
        assert {text.get_text() for text in axes.texts} >= {"ResNet50*", "T2T-ViT-14", "T2T-ViT-14 at 384 px"}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:3] == ["T2T-ViT", "ResNet and its kin", "published, ICCV"]
