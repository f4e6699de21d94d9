"""Figure 1: every network of Tables 2 to 4 once, printed and ours."""

import pytest

from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.paper.released import RELEASED
from bench.report.figures.figure_1 import figure_1
from bench.report.figures.plots import saved
from bench.results.store import load_complexity
from bench.spec.table import networks
from tests.report.test_claims import frames
from tests.report.test_frame import evaluation, over_seeds

ROWS = {row.name: row.run for number in (2, 3, 4) for row in TABLES[number].rows}


@pytest.fixture(scope="module")
def measured(measured_once):
    rows = [row for number in (2, 3, 4) for row in TABLES[number].rows]
    return {network: load_complexity(measured_once[1], network) for network in networks(rows)}


def test_curves_of_all_tables_with_a_mark_a_network(measured):
    figure = figure_1(ICCV, frames(measurements=measured))
    left, right = figure.axes
    curves = {line.get_label(): line.get_ydata().tolist() for line in left.lines}
    assert curves["T2T-ViT"] == [71.7, 76.5, 81.5, 81.9, 82.3]  # 14 and 24 stand in two tables
    assert curves["ResNet*"] == [79.1, 79.9, 80.8]
    assert curves["ViT"] == [78.1, 79.8, 81.1]
    assert curves["MobileNetV2*"] == [72.8, 75.6]
    assert len({line.get_color() for line in left.lines}) == 5
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in left.lines}) == len(curves)
    assert left.get_xscale() == right.get_xscale() == "log"
    assert "published, ICCV" in left.get_ylabel()
    assert "ours" not in figure.get_suptitle()
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert all(text.get_text().replace(".", "").isdigit() for text in left.get_xticklabels())


def test_ours_are_filled_marks_with_two_standard_errors(measured):
    seven, resnet = ROWS["T2T-ViT-7"], ROWS["ResNet50"]
    found = frames(
        measurements=measured,
        records={seven.run_id: over_seeds(seven.run_id, 71.0, 72.0)},
        evaluations={resnet.run_id: [evaluation(resnet, RELEASED[resnet], hits=0.76)]},
    )
    figure = figure_1(ICCV, found)
    left, _ = figure.axes
    marks = {bars.lines[0].get_ydata()[0]: bars for bars in left.containers}
    assert sorted(marks) == [71.5, 76.0]
    for value, variance in ((71.5, 0.5 / 2), (76.0, 76 * 24 / 50_000)):
        assert marks[value].lines[0].get_markerfacecolor() == marks[value].lines[0].get_color()
        ((low, high),) = [segment[:, 1] for segment in marks[value].lines[2][0].get_segments()]
        assert (high - low) / 4 == pytest.approx(variance**0.5)
    assert "filled marks: evaluated or trained, bars: 2 s.e." in figure.get_suptitle()
    curves = {row.curve for number in (2, 3, 4) for row in TABLES[number].rows_in(ICCV) if row.curve}
    assert {text.get_text() for text in figure.legends[0].get_texts()} == curves


def test_both_files_are_the_same_each_time(measured):
    first, second = (saved(figure_1(ICCV, frames(measurements=measured))) for _ in range(2))
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]
