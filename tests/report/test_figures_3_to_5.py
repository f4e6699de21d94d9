"""Figures 3, 4 and 5: their numbers are the network's, and their words lie beside each other."""

import csv
import dataclasses
import io
import itertools
import json
import re

import numpy as np
import pytest
from matplotlib.patches import FancyBboxPatch, Rectangle

import bench.cli.main
from bench.cli.commands.figure import FIGURES, Figure
from bench.measure.outline import read_outline
from bench.paper import TABLES
from bench.report.figures.diagrams import SMALL
from bench.report.figures.figure_3 import figure_3
from bench.report.figures.figure_4 import figure_4
from bench.report.figures.figure_5 import figure_5
from bench.report.figures.plots import saved
from bench.report.pages.figure_3 import figure_3_files
from bench.report.pages.figure_4 import figure_4_files
from bench.report.pages.figure_5 import figure_5_files
from bench.spec.run import Network
from tests.cli.test_main import one_line, without


@pytest.fixture(scope="module")
def outline():
    """Of a network at a resolution, read once."""
    read = {}

    def of(model, img_size=224):
        key = Network(model, img_size=img_size)
        return read.setdefault(key, read.get(key) or read_outline(key))

    return of


def texts(figure):
    (axes,) = figure.axes
    return [text.get_text() for text in axes.texts]


def assert_legible(figure):
    """No word touches another, a line or the edge of its box or of the picture, and none is small."""
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = {text: text.get_window_extent() for text in axes.texts}
    assert all(text.get_fontsize() >= SMALL for text in boxes)
    for text, box in boxes.items():
        inside = box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
        assert inside, text.get_text()
    for (text, box), (other, beside) in itertools.combinations(boxes.items(), 2):
        assert not box.overlaps(beside), (text.get_text(), other.get_text())
    for line in axes.lines:
        path = axes.transData.transform_path(line.get_path())
        crossed = [text.get_text() for text, box in boxes.items() if path.intersects_bbox(box, filled=False)]
        assert not crossed
    for patch in axes.patches:
        if isinstance(patch, FancyBboxPatch):
            frame = patch.get_window_extent()
            for text, box in boxes.items():
                apart = not frame.overlaps(box)
                assert apart or (frame.x0 < box.x0 and box.x1 < frame.x1), text.get_text()


@pytest.mark.parametrize(
    ("model", "img_size"),
    [("t2t_vit_14", 224), ("t2t_vit_t_24", 16), ("t2t_vit_12_distilled", 96), ("t2t_vit_14_wide", 1024)],
)
def test_figures_3_and_4_are_legible(outline, model, img_size):
    for draw in (figure_3, figure_4):
        assert_legible(draw(outline(model, img_size)))


@pytest.mark.parametrize("model", ["t2t_vit_14_se", "t2t_vit_16_ghost", "t2t_vit_14_resnext"])
def test_figure_4_of_other_blocks_is_legible(outline, model):
    assert_legible(figure_4(outline(model)))


@pytest.mark.parametrize("img_size", [16, 1024])
def test_figure_5_is_legible(outline, img_size):
    assert_legible(figure_5(outline("t2t_vit_14", img_size), outline("t2t_vit_16_ghost", img_size)))


def test_figure_3_at_224_px_has_the_papers_numbers(outline):
    shown = texts(figure_3(outline("t2t_vit_14")))
    shapes = [text for text in shown if re.fullmatch(r"\d+( × \d+)+", text)]
    assert shapes == [
        *("224 × 224 × 3", "3136 × 147", "3136 × 64"),
        *("56 × 56 × 64", "784 × 576", "784 × 64"),
        *("28 × 28 × 64", "196 × 576", "196 × 384"),
    ]
    assert [text for text in shown if "⌊" in text] == [
        "⌊(224 + 2·2 − 7) / (7 − 3) + 1⌋ = 56 an axis",
        "⌊(56 + 2·1 − 3) / (3 − 1) + 1⌋ = 28 an axis",
        "⌊(28 + 2·1 − 3) / (3 − 1) + 1⌋ = 14 an axis",
    ]
    assert shown.count("Performer layer") == 2


@pytest.mark.parametrize("img_size", [96, 224])
def test_figure_3_enlarges_what_its_frame_on_the_map_shows(outline, img_size):
    """Both frames hold the two windows in the same places, and lines join their corners."""
    (axes,) = figure_3(outline("t2t_vit_14", img_size)).axes
    shapes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    frames = [s.get_bbox() for s in shapes if s.get_linewidth() == 1 and s.get_facecolor()[3] == 0]
    windows = {wide: [s.get_bbox() for s in shapes if s.get_linewidth() == wide] for wide in (0.8, 1.6)}
    dashed = [line.get_xydata() for line in axes.lines if line.get_linestyle() == "--"]
    assert len(frames) == len(dashed) == 6
    for i, (region, enlarged) in enumerate(zip(frames[::2], frames[1::2], strict=True)):
        for small, large in zip(windows[0.8][2 * i : 2 * i + 2], windows[1.6][2 * i : 2 * i + 2], strict=True):
            places = [
                [
                    part
                    for x, y in ((box.x0, box.y0), (box.x1, box.y1))
                    for part in ((x - of.x0) / of.width, (y - of.y0) / of.height)
                ]
                for box, of in ((small, region), (large, enlarged))
            ]
            assert places[0] == pytest.approx(places[1])
        for line, side in zip(dashed[2 * i : 2 * i + 2], ("y0", "y1"), strict=True):
            corners = [(region.x1, getattr(region, side)), (enlarged.x0, getattr(enlarged, side))]
            assert line == pytest.approx(np.array(corners))


def test_figure_3_has_the_numbers_of_what_it_is_drawn_from(outline):
    """Another network and resolution: nothing stands in the code."""
    read = outline("t2t_vit_t_19", 96)
    shown = texts(figure_3(read))
    for i, layer in enumerate(("attention1", "attention2", "project")):
        split, mixed = (read[f"tokens_to_token.{name}"] for name in (f"soft_split{i}", layer))
        assert f"{split.output[1]} × {split.output[0]}" in shown
        assert f"{mixed.output[0]} × {mixed.output[1]}" in shown
        assert f"{mixed.params:,} params" in shown
    assert shown.count("Transformer layer") == 2
    assert "36 × 448" in shown
    assert {"224", "384", "3136", "56", "14"}.isdisjoint(re.findall(r"\d+", " ".join(shown)))


def test_figure_3_is_true_to_scale(outline):
    """Windows overlap as kernel and stride say, and token matrices are as wide as they have features."""
    (axes,) = figure_3(outline("t2t_vit_14")).axes
    shapes = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    windows = [shape for shape in shapes if shape.get_linewidth() == 1.6]
    pairs = zip(windows[::2], windows[1::2], strict=True)
    strides = [(second.get_x() - first.get_x()) / first.get_width() for first, second in pairs]
    assert strides == pytest.approx([4 / 7, 2 / 3, 2 / 3])
    rows = [shape for shape in shapes if shape.get_linewidth() == 0.9]
    widest = max(row.get_width() for row in rows)
    assert {round(576 * row.get_width() / widest) for row in rows} == {64, 147, 384, 576}
    heights = {}
    for row in rows:
        heights[row.get_x()] = heights.get(row.get_x(), 0) + row.get_height()
    assert len(heights) == 4  # columns of one width share a side
    assert max(heights.values()) == pytest.approx(1.15 * 1.5)  # 56 and 28 of 56 in one column


def test_figure_4_has_the_numbers_of_what_it_is_drawn_from(outline):
    read = outline("t2t_vit_24", 96)
    shown = texts(figure_4(read))
    block, attention, mlp = (read[f"blocks.0{name}"] for name in ("", ".attn", ".mlp"))
    assert f"{block.params:,} params each, {read['blocks'].params:,} in all" in shown
    assert {"8 heads of 64", f"{attention.params:,} params", f"{mlp.params:,} params"} <= set(shown)
    assert {"512 → 1536 → 512", "Block, 24 times", "37 tokens of 512 features", "36 × 512"} <= set(shown)
    assert {"37 × 512", "18,944 params", "Positions, fixed", "1 × 512, 512 params"} <= set(shown)
    assert f"{read.params:,} params" in shown
    counts = [int(re.search(r"([\d,]+) \(", text)[1].replace(",", "")) for text in shown if "%)" in text]
    assert len(counts) == 4
    assert sum(counts) == read.params
    assert {"224", "384", "197", "14"}.isdisjoint(re.findall(r"\d+", " ".join(shown)))


def test_figure_4_names_what_a_network_has(outline):
    distilled = texts(figure_4(outline("t2t_vit_12_distilled")))
    assert {"Class, distillation", "2 × 256, 512 params", "2 heads", "514,000", "a token each"} <= set(distilled)
    assert "Attention, SE" in texts(figure_4(outline("t2t_vit_14_se")))
    assert {"Ghost attention", "Ghost MLP"} <= set(texts(figure_4(outline("t2t_vit_16_ghost"))))
    assert "32 heads of 12" in texts(figure_4(outline("t2t_vit_14_resnext")))


def test_figure_5_has_both_blocks_params(outline):
    plain, ghost = outline("t2t_vit_14"), outline("t2t_vit_16_ghost")
    shown = texts(figure_5(plain, ghost))
    assert {"1,478,016", "962,496 (65.1 %)", "442,368", "221,184"} <= set(shown)
    assert shown.count("Linear 384 → 192") == shown.count("cheap") == 3
    assert shown.count("cheap, GELU") == 2
    assert {"369,600 params", "591,360 params", "q: 192", "6 heads of 64", "Linear 1152 → 384"} <= set(shown)
    assert any("cheap operations 1,344, norms 1,536" in text for text in shown)
    (axes,) = figure_5(plain, ghost).axes
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_y() == 5.2]
    assert sum(bar.get_width() for bar in bars) == pytest.approx(6.6)


def test_figure_5_has_the_numbers_of_what_it_is_drawn_from(outline):
    shown = texts(figure_5(outline("t2t_vit_14", 96), outline("vit_s_16_ghost", 96)))
    assert {"37 × 768", "8 heads of 96", "Linear 768 → 384", "Linear 2304 → 768"} <= set(shown)


@pytest.mark.parametrize(
    ("write", "draw", "models"),
    [
        (figure_3_files, figure_3, ["t2t_vit_14"]),
        (figure_4_files, figure_4, ["t2t_vit_14"]),
        (figure_5_files, figure_5, ["t2t_vit_14", "t2t_vit_16_ghost"]),
    ],
)
def test_files_and_page(outline, write, draw, models):
    outlines = [outline(model) for model in models]
    files = write(*outlines)
    assert files == write(*outlines)
    pictures = saved(draw(*outlines))
    assert pictures == saved(draw(*outlines))  # the same bytes each time
    assert pictures["png"].startswith(b"\x89PNG")
    assert b"<svg" in pictures["svg"]
    lines = list(csv.DictReader(io.StringIO(files["csv"])))
    number = write.__name__.split("_")[1]
    page = files["md"]
    assert page.startswith(f"# Figure {number}: {FIGURES[int(number)].title}\n")
    assert all(f"figure_{number}.{suffix})" in page for suffix in ("png", "csv", "svg"))
    for read in outlines:
        assert f"(evidence/outlines/{read.network}-224px.json)" in page
        own = [line for line in lines if line["network"] == str(read.network)]
        assert own
        for line in own:
            layer = read[line["layer"]]
            assert (int(line["params"]), int(line["trainable_params"])) == (layer.params, layer.trainable_params)
            assert line["output"] == " × ".join(map(str, layer.output))
            assert f"| `{layer.name}` " in page
            assert f"{layer.params:,}" in page


def test_what_can_be_chosen_is_what_can_be_drawn(outline):
    models = {row.network.model for table in TABLES.values() for row in table.rows}
    modules = {model: outline(model) for model in models if model.startswith("t2t_vit")}
    split = "tokens_to_token.soft_split0"
    with_t2t = {model for model, read in modules.items() if split in read and read[split].kind == "Unfold"}
    assert {row.network.model for row in FIGURES[3].choice.rows} == with_t2t
    of_one_width = {model for model in with_t2t if len({block.output for block in modules[model].blocks}) == 1}
    assert {row.network.model for row in FIGURES[4].choice.rows} == of_one_width


@pytest.fixture(scope="module")
def drawn(run_all, tmp_path_factory):
    """Figures 3 to 5 drawn once: (what the process printed, runs folder, reports folder)."""
    folder = tmp_path_factory.mktemp("figures")
    done = run_all("figure", 3, 4, 5, "--runs", folder / "runs", "--reports", folder / "reports")
    assert done.returncode == 0, done.stderr
    return done, folder / "runs", folder / "reports"


def test_figures_are_written_with_their_evidence(drawn):
    done, runs, reports = drawn
    assert done.stdout.count("wrote ") == 3
    assert {path.name for path in reports.glob("figure_*")} == {
        f"figure_{number}.{suffix}" for number in (3, 4, 5) for suffix in ("md", "csv", "png", "svg")
    }
    for name in ("t2t_vit_14", "t2t_vit_16_ghost"):
        kept = runs / "outlines" / f"{name}-224px.json"
        assert (reports / "evidence" / "outlines" / kept.name).read_bytes() == kept.read_bytes()
    for number in (3, 4):
        assert "`t2t_vit_14` at 224 px" in (reports / f"figure_{number}.md").read_text()  # and not at 384, a row too
    for number in (3, 4, 5):
        with (reports / f"figure_{number}.csv").open() as file:
            lines = list(csv.DictReader(file))
        for line in lines:
            layers = json.loads((reports / line["evidence"]).read_text())["layers"]
            (layer,) = [layer for layer in layers if layer["name"] == line["layer"]]
            assert [layer["params"], layer["trainable_params"]] == [int(line["params"]), int(line["trainable_params"])]
            shapes = [" × ".join(map(str, layer[name])) for name in ("inputs", "output")]
            assert shapes == [line["input"], line["output"]]


def test_what_is_kept_is_drawn_again_without_torch(drawn, run_all, tmp_path):
    """And from the evidence alone, which is laid out as the runs are."""
    _, _, reports = drawn
    again = run_all("figure", 3, 4, 5, "--runs", reports / "evidence", "--reports", tmp_path, code=without("torch"))
    assert again.returncode == 0, again.stderr
    for path in reports.glob("figure_*"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_what_is_not_kept_needs_torch(run_all, tmp_path):
    done = run_all("figure", 3, "--runs", tmp_path, "--reports", tmp_path, code=without("torch"))
    one_line(done, 2, "missing dependency 'torch'")


def call(capsys, tmp_path, *arguments):
    code = bench.cli.main.main([*arguments, "--runs", str(tmp_path / "s"), "--reports", str(tmp_path / "r")])
    return code, capsys.readouterr()


def test_another_network_and_resolution(capsys, tmp_path):
    code, _ = call(capsys, tmp_path, "figure", "3", "4", "--only", "T2T-ViT_t-24", "--img-size", "96")
    assert code == 0
    page = (tmp_path / "r/figure_4.md").read_text()
    assert "evidence/outlines/t2t_vit_t_24-96px.json" in page
    code, _ = call(capsys, tmp_path, "figure", "3", "--only", "T2T-ViT-14 at 384 px")
    assert "`t2t_vit_14` at 384 px" in (tmp_path / "r/figure_3.md").read_text()
    code, out = call(capsys, tmp_path, "figure", "5", "5", "--img-size", "32", "--json")
    (figure,) = json.loads(out.out)["figures"]  # once
    assert figure["title"] == "The Ghost block"
    assert "5 × 384" in (tmp_path / "r/figure_5.md").read_text()


def test_a_figure_of_which_a_part_failed_is_written_and_said_to_have_failed(capsys, tmp_path, monkeypatch):
    failures, whole = ["resnet50 at 224 px: no such operator"], FIGURES[5].draw

    def draw(*arguments):
        return dataclasses.replace(whole(*arguments), contents={"md": "What there is.\n"}, failures=failures)

    monkeypatch.setitem(FIGURES, 5, Figure(title="The Ghost block", draw=draw))
    code, printed = call(capsys, tmp_path, "figure", "5")
    assert (code, printed.err) == (1, "run_all.py: resnet50 at 224 px: no such operator\n")
    assert (tmp_path / "r/figure_5.md").read_text() == "What there is.\n"
    code, printed = call(capsys, tmp_path, "figure", "5", "--json")
    assert (code, json.loads(printed.out)["failures"]) == (1, failures)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["figure", "1", "--only", "t2t_vit_14"], ["--only does nothing for figure 1", "figure 3 4"]),
        (["figure", "3", "5", "--only", "t2t_vit_14"], ["--only does nothing for figure 5", "figure 3 4"]),
        (["figure", "1", "--img-size", "224"], ["--img-size does nothing for figure 1", "figure 3 4 5"]),
        (["--table", "3", "--img-size", "224"], ["unrecognized arguments: --img-size 224"]),
        (["figure", "3", "--img-size", "100"], ["--img-size 100", "divisible by 16", "96 or 112"]),
        (["figure", "5", "--img-size", "8"], ["--img-size 8", "from 16", "16 or 32"]),
        (["figure", "4", "--img-size", "9999"], ["--img-size 9999", "to 4096", "4080 or 4096"]),
        (["figure", "3", "--img-size", "big"], ["--img-size", "'big'", "whole number"]),
        (["figure", "3", "--only", "t2t_vit_c_14"], ["--only t2t_vit_c_14", "with a T2T module", "t2t_vit_t_24"]),
        (["figure", "4", "--only", "t2t_vit_14_no_t2t"], ["--only t2t_vit_14_no_t2t", "with a T2T module"]),
        (["figure", "3", "4", "--only", "*Dense"], ["--only *Dense", "blocks of one width", "t2t_vit_14_se"]),
        (["figure", "3", "--only", "resnet50"], ["--only resnet50", "with a T2T module"]),
        (["figure", "3", "--only", "T2T-ViT-1*"], ["--only T2T-ViT-1*", "one network", "t2t_vit_14, t2t_vit_19"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_wrong_request(capsys, tmp_path, arguments, parts):
    code, printed = call(capsys, tmp_path, *arguments)
    assert code == 2
    assert printed.err.count("\n") == 1
    for part in parts:
        assert part in printed.err
    assert not (tmp_path / "r").exists()
