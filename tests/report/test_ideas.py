"""Designs against their baselines: what the page and the picture show."""

import matplotlib.image
import pytest

from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.paper.ideas import IDEAS
from bench.report.figures.ideas import ideas_figure
from bench.report.figures.plots import BLUE, GREEN, VERMILLION, saved
from bench.report.pages.ideas import ideas_frame, ideas_markdown
from tests.report.test_claims import frames
from tests.report.test_frame import over_seeds

ROWS = {row.name: row.run for row in TABLES[6].rows}


def found(records=None):
    return ideas_frame(IDEAS, frames(records=records))


def test_every_row_that_tries_a_design_is_there_once():
    tried = {(pair.table, pair.row) for idea in IDEAS for pair in idea.pairs}
    assert len(tried) == sum(len(idea.pairs) for idea in IDEAS) == 20
    changes = {row.name for row in TABLES[6].rows if row.group != TABLES[6].rows[0].group and not row.baseline}
    assert changes - {"ResNet50"} == {row for table, row in tried if table == 6}


def test_changes_are_those_of_the_tables():
    changes = found().set_index("model")["published"]
    assert changes["ViT-SW"] == -8.2
    assert changes["T2T-ViT-Wide"] == -3.6  # of the printed accuracies; Table 6 prints another change
    assert changes["T2T-ViT-14"] == 2.0
    assert found()["ours"].isna().all()


def test_marks_are_hollow_where_printed_and_filled_where_ours_with_two_standard_errors():
    records = {ROWS[name].run_id: over_seeds(ROWS[name].run_id, *top1) for name, top1 in (
        ("ViT-S/16", (78.0,)), ("ViT-SE", (78.5, 79.5)),
    )}  # fmt: skip
    frame = found(records)
    ours = frame.set_index("model").loc["ViT-SE"]
    assert (ours["ours"], ours["ours_from"]) == (1.0, "trained")
    (axes,) = ideas_figure(ICCV, frame).axes
    marks = [bars.lines[0] for bars in axes.containers]
    assert len(marks) == 21
    hollow = [mark for mark in marks if mark.get_markerfacecolor() == "white"]
    assert sorted(mark.get_xdata()[0] for mark in hollow) == sorted(frame["published"])
    (filled,) = [mark for mark in marks if mark.get_markerfacecolor() != "white"]
    assert (filled.get_xdata()[0], filled.get_color()) == (1.0, GREEN)
    assert {mark.get_color() for mark in marks} == {BLUE, GREEN, VERMILLION}
    segment = axes.containers[marks.index(filled)].lines[2][0].get_segments()[0]
    assert segment[1][0] - segment[0][0] == pytest.approx(4 * ours["ours_std_err"])


def test_names_and_headings_are_in_the_order_of_the_paper():
    (axes,) = ideas_figure(ICCV, found()).axes
    assert [text.get_text() for text in axes.texts] == [idea.name for idea in IDEAS]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [pair.row for idea in IDEAS for pair in idea.pairs]
    assert axes.yaxis_inverted()


@pytest.mark.extended
def test_the_page_and_its_pictures_are_the_same_each_time(tmp_path):
    text = ideas_markdown(ICCV, found())
    assert "| Deep and narrow | ViT-DN |".replace(" ", "") in text.replace(" ", "")
    assert r"ResNet50-Ghost\*" in text
    pictures, again = (saved(ideas_figure(ICCV, found())) for _ in range(2))
    assert pictures == again
    assert b"<svg" in pictures["svg"]
    (tmp_path / "a.png").write_bytes(pictures["png"])
    assert matplotlib.image.imread(tmp_path / "a.png").shape[1] == 1520
