"""Figure 1: every network of Tables 2 to 4 once, printed and ours."""

import pytest

from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.paper.released import RELEASED
from bench.report.evidence import FOLDER
from bench.report.figures.figure_1 import figure_1
from bench.report.figures.plots import saved
from bench.results.store import load_complexity
from bench.spec.table import networks
from tests.conftest import ROOT
from tests.report.test_claims import frames
from tests.report.test_frame import evaluation, over_seeds

ROWS = {row.name: row.run for number in (2, 3, 4) for row in TABLES[number].rows}


@pytest.fixture(scope="module")
def measured():
    """The committed measurements."""
    rows = [row for number in (2, 3, 4) for row in TABLES[number].rows]
    return {network: load_complexity(ROOT / "reports" / FOLDER, network) for network in networks(rows)}


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


def test_labels_are_apart_from_each_other_and_from_all_marks(measured):
    """With results of ours beside the published ones, where the picture is fullest."""
    ours = ("ResNet50", "ResNet101", "ResNet152", "DeiT-small", "T2T-ViT-14", "T2T-ViT-7")
    records = {
        ROWS[name].run_id: over_seeds(ROWS[name].run_id, top1, top1 + 0.2)
        for name, top1 in zip(ours, (76.0, 77.3, 78.2, 79.8, 81.4, 71.6), strict=True)
    }
    figure = figure_1(ICCV, frames(measurements=measured, records=records))
    figure.set_dpi(200)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert len(axes.containers) == len(ours)
        boxes = [text.get_window_extent() for text in axes.texts]
        marks = [point for line in axes.lines for point in line.get_transform().transform(line.get_xydata())]
        joints = [joint.get_transform().transform_path(joint.get_path()) for joint in axes.patches]
        assert len(boxes) == sum(len(line.get_xdata()) for line in axes.lines if line.get_label()[0] != "_")
        for text, box in zip(axes.texts, boxes, strict=True):
            assert box.count_overlaps(boxes) == 1, text.get_text()  # itself
            assert not any(box.contains(*mark) for mark in marks), text.get_text()
            assert not any(joint.intersects_bbox(box, filled=False) for joint in joints), text.get_text()
            # Beside its mark, or joined to it by a line.
            x, y = axes.transData.transform(text.xy)
            away = max(box.x0 - x, x - box.x1, box.y0 - y, y - box.y1)
            ends = [joint.vertices[0] for joint in joints]
            is_joined = any(abs(end - (x, y)).max() < 5 * figure.dpi / 72 for end in ends)
            assert away < 9 * figure.dpi / 72 or is_joined, text.get_text()


@pytest.mark.extended
def test_both_files_are_the_same_each_time(measured):
    first, second = (saved(figure_1(ICCV, frames(measurements=measured))) for _ in range(2))
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]
