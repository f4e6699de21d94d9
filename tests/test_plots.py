"""The picture: its axes, series and labels, not its pixels."""

import io

import matplotlib.image
import pytest
from matplotlib.colors import to_hex

from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.report.frame import table_frame
from bench.report.plots import table_picture, tradeoff_figure


@pytest.fixture
def figure(measurements):
    return tradeoff_figure(TABLES[3], ICCV, table_frame(TABLES[3], ICCV, measurements, {}))


def test_axes(figure):
    left, right = figure.axes
    assert "MACs" in left.get_xlabel()
    assert "(G)" in left.get_xlabel()
    assert "params" in right.get_xlabel()
    assert "(M)" in right.get_xlabel()
    assert "top-1 as published, ICCV (%)" in left.get_ylabel()
    assert left.get_shared_y_axes().joined(left, right)


def test_curves_hold_published_top1_over_measured_figures(figure):
    left, right = figure.axes
    curves = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert curves == {
        "ResNet": [[4.111512576, 76.2], [7.833969664, 77.4], [11.5588352, 78.3]],
        "ResNet*": [[4.111512576, 79.1], [7.833969664, 79.9], [11.5588352, 80.8]],
        "T2T-ViT": [[4.800254784, 81.5], [8.502709376, 81.9], [13.692403648, 82.3]],
        "T2T-ViT_t": [[6.10550816, 81.7], [9.807962752, 82.2]],  # _t-24 was not measured and has no mark
    }
    assert [x for x, _ in right.lines[0].get_xydata().tolist()] == [25.557032, 44.54916, 60.192808]


def test_every_mark_is_labelled(figure):
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["50", "101", "152"] * 2 + ["14", "19", "24", "14", "19"]


def test_families_differ_by_colour_and_curves_without_it(figure):
    styles = {line.get_label(): line for line in figure.axes[0].lines}
    assert to_hex(styles["T2T-ViT"].get_color()) == to_hex(styles["T2T-ViT_t"].get_color())
    assert to_hex(styles["T2T-ViT"].get_color()) != to_hex(styles["ResNet*"].get_color())
    assert len({(line.get_marker(), line.get_linestyle()) for line in styles.values()}) == 4
    assert all(to_hex(line.get_markerfacecolor()) == "#ffffff" for line in styles.values())  # published: hollow


def test_labels_overlap_neither_each_other_nor_the_frame(figure):
    figure.set_dpi(200)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        frame = figure.bbox
        for i, box in enumerate(boxes):
            assert frame.containsx(box.x0)
            assert frame.containsx(box.x1)
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_png_is_for_print_and_the_same_each_time(measurements):
    frame = table_frame(TABLES[3], ICCV, measurements, {})
    png = table_picture(TABLES[3], ICCV, frame)
    assert png == table_picture(TABLES[3], ICCV, frame)
    height, width, _ = matplotlib.image.imread(io.BytesIO(png)).shape
    assert (width, height) == (1800, 940)
    assert b"pHYs" in png  # 200 dpi, for print
