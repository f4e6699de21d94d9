"""The picture: its axes, series and labels, not its pixels."""

import dataclasses
import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_hex

from bench.experiments.suites import Entry
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.report.evidence import FOLDER
from bench.report.figures.plots import saved, seeds_figure, sweep_figure, tradeoff_figure
from bench.report.frame import runs_frame, seeds_frame, table_frame
from bench.report.html.schemes import in_the_dark
from bench.results.store import load_complexity
from bench.spec.table import Published, Row, networks
from tests.conftest import ROOT, collected, complexity
from tests.report.test_frame import over_seeds


def tradeoff(table, measurements, *evidence):
    frame = table_frame(table, ICCV, collected(measurements, *evidence))
    return tradeoff_figure(table.rows_in(ICCV), ICCV, frame, f"Table {table.number}: {table.title}")


@pytest.fixture
def figure(measurements):
    return tradeoff(TABLES[3], measurements)


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


def test_curves_of_a_new_family_are_black_and_told_apart(measurements):
    rows = TABLES[3].rows
    rows = (*rows[:2], *(dataclasses.replace(row, curve=curve) for row, curve in zip(rows[2:4], "AB", strict=True)))
    table = dataclasses.replace(TABLES[3], rows=rows)
    figure = tradeoff(table, measurements)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert [to_hex(lines[name].get_color()) for name in "AB"] == ["#000000"] * 2
    assert lines["A"].get_marker() != lines["B"].get_marker()


def test_labels_of_marks_in_one_place_go_to_different_sides(measurements):
    row = TABLES[3].rows[2]
    rows = tuple(dataclasses.replace(row, curve=curve, point=curve) for curve in ("ResNet", "ResNet*", "T2T-ViT"))
    table = dataclasses.replace(TABLES[3], rows=rows)
    figure = tradeoff(table, measurements)
    for axes in figure.axes:
        first, second, third = (text.get_window_extent() for text in axes.texts)
        assert second.count_overlaps([first, third]) == first.count_overlaps([third]) == 0


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


@pytest.mark.parametrize("number", [2, 3, 4])
def test_labels_of_measured_tables_cover_no_other_and_no_mark(number):
    table = TABLES[number]
    measured = {network: load_complexity(ROOT / "reports" / FOLDER, network) for network in networks(table.rows)}
    rows = table.rows_in(ICCV)
    ours = {row.run.run_id: over_seeds(row.run.run_id, row.published[ICCV].top1_pct) for row in rows if row.run}
    figure = tradeoff(table, measured, ours)
    figure.set_dpi(200)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert sorted(text.get_text() for text in axes.texts) == sorted(row.point for row in rows)
        boxes = [text.get_window_extent() for text in axes.texts]
        marks = [mark for line in axes.lines for mark in line.get_transform().transform(line.get_xydata())]
        marks = [mark for mark in marks if not np.isnan(mark).any()]  # the bar of a single seed
        assert len(marks) == len(rows) + len(ours)  # which lie a little aside
        for i, box in enumerate(boxes):
            assert figure.bbox.containsx(box.x0)
            assert figure.bbox.containsx(box.x1)
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])
            around = box.padded(4.2 / 72 * figure.dpi)  # a little more than half a mark
            assert not any(around.contains(*mark) for mark in marks)


def away(box, point):
    """Pixels from a label to a mark."""
    return np.hypot(*np.maximum(0, np.maximum(box.min - point, point - box.max)))


def test_a_label_is_nearer_to_its_mark_than_to_any_other():
    """Though the place that is preferred, below to the right, is free: a mark lies behind it."""
    places = {"14": (40, 80.0), "19": (49, 79.85), "24": (0, 78.0), "152": (100, 82.0)}
    rows, known = [], {}
    for point, (x, top1) in places.items():
        measured = complexity("resnet50", 10**6 * (1 + x), 10**9 * (1 + x), img_size=16 * int(point))
        known[measured.network] = measured
        published = {ICCV: Published(top1_pct=top1)}
        rows.append(Row(point, untrained=measured.network, published=published, curve=f"of {point}", point=point))
    figure = tradeoff(dataclasses.replace(TABLES[3], rows=tuple(rows)), known)
    for axes in figure.axes:
        marks = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines]
        assert (marks[1] - marks[0]) / figure.dpi * 72 == pytest.approx([22, -8], abs=3)  # points
        boxes = [text.get_window_extent() for text in axes.texts]
        for i, box in enumerate(boxes):
            nearest = min(away(box, mark) for k, mark in enumerate(marks) if k != i)
            assert away(box, marks[i]) + 4 * figure.dpi / 72 <= nearest, axes.texts[i].get_text()


def test_ours_lie_a_little_aside_of_what_was_published(measurements):
    run = TABLES[3].rows[2].run
    figure = tradeoff(TABLES[3], measurements, {run.run_id: over_seeds(run.run_id, 81.5)})
    for axes, x in zip(figure.axes, (4.800254784, 21.54555), strict=True):
        ((mark, _, _),) = axes.containers
        assert mark.get_xydata().tolist() == [[x, 81.5]]  # where the published one lies
        published = next(line for line in axes.lines if line.get_label() == "T2T-ViT")
        aside = mark.get_transform().transform((x, 81.5)) - published.get_transform().transform((x, 81.5))
        assert aside / figure.dpi * 72 == pytest.approx([4, 0])


def test_png_is_for_print_and_the_same_each_time(measurements):
    frame = table_frame(TABLES[3], ICCV, collected(measurements))
    pictures, again = (saved(tradeoff_figure(TABLES[3].rows_in(ICCV), ICCV, frame, "Table 3")) for _ in range(2))
    assert pictures == again
    height, width, _ = matplotlib.image.imread(io.BytesIO(pictures["png"])).shape
    assert (width, height) == (1800, 940)
    assert b"pHYs" in pictures["png"]  # 200 dpi, for print
    assert b"<svg" in pictures["svg"]


# Sweeps


def swept(sweep, points):
    """The swept fields and their frame over seeds: points by values of the fields."""
    entries = tuple(
        Entry(row="T2T-ViT-14", spec=TABLES[3].rows[2].run.with_seed(i), swept=point) for i, point in enumerate(points)
    )
    records = {e.spec.run_id: over_seeds(e.spec.run_id, *points[e.swept]) for e in entries}
    return sweep, seeds_frame(runs_frame(entries, records, sweep), sweep)


def test_one_field_is_a_curve_with_its_error():
    figure = sweep_figure(*swept(("lr",), {(1e-3,): (80.0, 82.0), (5e-4,): (79.0,), (4e-3,): (70.0, 71.0)}))
    (axes,) = figure.axes
    curve = axes.lines[0].get_xydata().tolist()
    assert curve == [[5e-4, 79.0], [1e-3, 81.0], [4e-3, 70.5]]  # by value, not in the order that was asked for
    assert (axes.get_xlabel(), axes.get_xscale()) == ("lr", "log")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.0005", "0.001", "0.004"]
    (bars,) = axes.collections
    low, high = bars.get_segments()[1][:, 1]
    assert (high - low) / 2 == pytest.approx(1)
    assert axes.get_title() == "T2T-ViT-14"


def test_names_are_a_curve_too():
    figure = sweep_figure(*swept(("schedule",), {("cosine",): (80.0,), ("step",): (79.0,)}))
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["cosine", "step"]


def test_two_fields_are_a_heat_map_with_its_figures():
    points = {(5e-4, 0.03): (80.0, 82.0), (5e-4, 0.05): (79.0,), (1e-3, 0.03): (70.0,), (1e-3, 0.05): ()}
    figure = sweep_figure(*swept(("lr", "weight_decay"), points))
    axes, bar = figure.axes
    assert [text.get_text() for text in axes.texts] == ["81.0\n± 1.0\nn=2", "70.0", "79.0"]  # the fourth is blank
    # Pixels keep their colours on a dark page, and so must what is written on them.
    assert all(in_the_dark(text.get_color()) == text.get_color() for text in axes.texts)
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("lr", "weight_decay", "top-1 (%)")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0.03", "0.05"]


def test_a_point_that_nobody_asked_for_is_blank():
    figure = sweep_figure(*swept(("lr", "weight_decay"), {(5e-4, 0.03): (80.0,), (1e-3, 0.05): (79.0,)}))
    assert [text.get_text() for text in figure.axes[0].texts] == ["80.0", "79.0"]


def test_a_third_field_is_a_panel_a_value():
    points = {(a, b, c): (a + b + c,) for a in (1, 2) for b in (3, 4) for c in (5, 6)}
    figure = sweep_figure(*swept(("epochs", "warmup_epochs", "cooldown_epochs"), points))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["T2T-ViT-14, cooldown_epochs 5", "T2T-ViT-14, cooldown_epochs 6"]
    assert saved(sweep_figure(*swept(("epochs",), {(1,): (2.0,)})))["png"][:4] == b"\x89PNG"


def test_a_sweep_chooses_by_the_images_that_are_held_out():
    entries = [Entry(row="T2T-ViT-14", spec=TABLES[3].rows[2].run.with_seed(i), swept=(0.01 * i,)) for i in (1, 2)]
    records = {entry.spec.run_id: over_seeds(entry.spec.run_id, 0.0) for entry in entries}
    for held_out, found in zip((90.5, 91.5), records.values(), strict=True):
        found[0].results = {"raw_last_top1_pct": 50.0, "held_out_raw_last_top1_pct": held_out}
    figure = sweep_figure(("lr",), seeds_frame(runs_frame(entries, records, ("lr",)), ("lr",)))
    (axes,) = figure.axes
    assert axes.lines[0].get_ydata().tolist() == [90.5, 91.5]
    assert axes.get_ylabel() == "top-1 (%) on held-out images, mean ± s.e."


# Seeds


def test_seeds_are_marks_beside_their_mean_and_error():
    entries = [Entry(row=name, spec=TABLES[3].rows[i].run) for i, name in enumerate(("one", "two"))]
    records = {e.spec.run_id: over_seeds(e.spec.run_id, 0, 0) for e in entries}
    for record, last in zip((r for found in records.values() for r in found), (9.0, 11.0, 20.0, 24.0), strict=True):
        record.results = {"ema_best_top1_pct": 99.0, "ema_last_top1_pct": last, "raw_last_top1_pct": 1.0}
    runs = runs_frame(entries, records)
    (axes,) = seeds_figure(runs, seeds_frame(runs)).axes
    marks = {tuple(xy) for line in axes.lines for xy in line.get_xydata().tolist()}
    assert {(9, 0.2), (11, 0.2), (20, 1.2), (24, 1.2), (10, 0), (22, 1)} <= marks  # seeds below their mean
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "one\nEMA weights, n=2",
        "two\nEMA weights, n=2",
    ]
    assert axes.yaxis_inverted()
    (bars,) = axes.collections
    assert bars.get_segments()[1][:, 0].tolist() == pytest.approx([20, 24])
