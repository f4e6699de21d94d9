"""Training curves: what is read, what is drawn, and what the command writes."""

import csv
import dataclasses
import json
import re

import matplotlib.image
import pytest
from matplotlib.colors import to_hex

import bench.results.run_folder
from bench.cli.commands.curves import entry_names
from bench.cli.main import main
from bench.experiments.budgets import SUITES
from bench.experiments.recipes import override
from bench.launch.job import prepare
from bench.report.curves import Curve, curves_frame
from bench.report.figures.curves import ALONE, comparison_figure, run_figure
from bench.report.pages.curves import curves_markdown
from bench.results.record import Metrics, RunRecord
from bench.results.run_folder import own

TINY, TUNED, RESNET = SUITES["smoke"].values()


def lines(epochs, top1=50.0, averaged=True):
    """A line an epoch: top-1 rises by a point."""
    kinds = ("raw", "ema") if averaged else ("raw",)
    return tuple(
        {"epoch": e, "lr": 1e-3 / (e + 1), "train_loss": 3.0 - e / 10}
        | {f"{kind}_val_loss": 2.5 - e / 10 - i / 10 for i, kind in enumerate(kinds)}
        | {f"{kind}_top1_pct": top1 + e + i / 2 for i, kind in enumerate(kinds)}
        for e in range(epochs)
    )


def curve(name="net", seed=0, *, done=4, epochs=4, starts=(), top1=50.0, averaged=True, **kwargs):
    """A run with restarts at the given epochs, as (epoch, step of 10)."""
    begins = [{"epoch": 0, "step": 0, "steps": 10}, *({"epoch": e, "step": s, "steps": 10} for e, s in starts)]
    record = RunRecord(
        **{
            "run_id": f"{name}-s{seed}-00000000",
            "spec": {"seed": seed, "recipe": {"held_out": 0.0}},
            "status": "completed" if done == epochs else "running",
            "history": [{"what": "running", "when": "2026-01-01"} | begin for begin in begins],
            "git": {},
            "versions": {},
            "epoch": done,
            "epochs": epochs,
            "epoch_images_per_s": [100.0 + e for e in range(done)],
        }
        | kwargs
    )
    return Curve(name=name, record=record, metrics=Metrics(lines=lines(done, top1, averaged)))


def series(axes):
    """Points of each line by label."""
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def labels(legend):
    return [text.get_text() for text in legend.get_texts()]


def within(figure):
    """That legends and titles lie in the figure, and no legend on an axes' data."""
    figure.set_dpi(200)
    figure.draw_without_rendering()
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    texts = [*(legend.get_window_extent() for legend in legends), figure._suptitle.get_window_extent()]
    texts += [axes.yaxis.label.get_window_extent() for axes in figure.axes]
    for box in texts:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    for legend in legends:
        assert not any(legend.get_window_extent().overlaps(axes.bbox.padded(-1)) for axes in figure.axes)
    for i, axes in enumerate(figure.axes):
        assert not axes.bbox.count_overlaps([other.get_tightbbox() for other in figure.axes[i + 1 :]])


# The frame


def test_a_line_a_run_and_epoch():
    frame = curves_frame([curve(seed=3), curve("other", done=2, averaged=False)])
    assert list(frame["epoch"]) == [0, 1, 2, 3, 0, 1]
    assert list(frame["model"]) == ["net"] * 4 + ["other"] * 2
    assert list(frame["seed"].unique()) == [3, 0]
    assert list(frame["images_per_s"]) == [100, 101, 102, 103, 100, 101]
    assert list(frame["ema_top1_pct"].dropna()) == [50.5, 51.5, 52.5, 53.5]
    assert not frame["held_out"].any()


def test_of_a_run_of_before_each_epochs_speed_was_noted_the_last_is_known():
    old = curve(epoch_images_per_s=[], images_per_s=64.0)
    assert curves_frame([old])["images_per_s"].isna().tolist() == [True, True, True, False]
    gap = curve(epoch_images_per_s=[1.0, None, 3.0, None], images_per_s=64.0)
    assert curves_frame([gap])["images_per_s"].isna().tolist() == [False, True, False, True]


# One run


def test_the_four_panels_of_a_run():
    figure = run_figure(curve())
    loss, top1, lr, speed = figure.axes
    assert series(loss) == {
        "training": [[e + 1, 3 - e / 10] for e in range(4)],
        "validation, raw": [[e + 1, 2.5 - e / 10] for e in range(4)],
        "validation, EMA": [[e + 1, 2.5 - e / 10 - 0.1] for e in range(4)],
    }
    assert list(series(top1).values()) == [[[e + 1, 50 + e + i] for e in range(4)] for i in (0, 0.5)]
    assert labels(top1.get_legend()) == ["raw weights", "averaged weights (EMA)"]
    assert [y for _, y in lr.lines[0].get_xydata()] == [1e-3, 1e-3 / 2, 1e-3 / 3, 1e-3 / 4]
    assert [y for _, y in speed.lines[0].get_xydata()] == [100, 101, 102, 103]
    named = [axes.get_ylabel() for axes in figure.axes]
    assert named == ["loss", "top-1 (%)", "learning rate", "throughput (images/s)"]
    assert [axes.get_xlabel() for axes in (lr, speed)] == ["epochs finished"] * 2
    assert lr.get_ylim() == (0, pytest.approx(1.08e-3))
    assert figure.get_suptitle() == "net-s0-00000000"
    assert not figure.legends
    within(figure)


def test_restarts_are_dotted_lines_where_attempts_began():
    figure = run_figure(curve(starts=[(1, 0), (2, 5)], done=3))
    for axes in figure.axes:
        dotted = [
            line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":" and line.get_label()[0] == "_"
        ]
        assert dotted == [1, 2.5]
    assert figure.axes[2].get_ylim()[1] == pytest.approx(1.08e-3)  # the lines reach from 0 to 1 of the panel
    assert labels(figure.legends[0]) == ["restart (2)"]
    assert "not finished, 3 of 4 epochs" in figure.get_suptitle()
    within(figure)


def test_an_attempt_of_before_its_step_was_noted_is_marked_at_its_epoch():
    found = curve()
    found.record.history.append({"what": "running", "when": "2026-01-01", "epoch": 2})
    found.record.history.append({"what": "killed", "when": "2026-01-01"})
    assert found.restarts == [2]


@pytest.mark.parametrize("status", ["diverged", "failed", "interrupted"])
def test_how_a_run_ended_is_in_its_title(status):
    assert f"{status}, 3 of 4 epochs" in run_figure(curve(done=3, status=status)).get_suptitle()


def test_held_out_images_are_said_to_be():
    held = curve(spec={"seed": 0, "recipe": {"held_out": 0.1}}, averaged=False)
    loss, top1, *_ = run_figure(held).axes
    assert (loss.get_ylabel(), top1.get_ylabel()) == (
        "loss (validation: held-out images)",
        "top-1, held-out images (%)",
    )
    assert labels(top1.get_legend()) == ["raw weights"]
    within(run_figure(held))
    both = comparison_figure([held, curve("other")])
    assert labels(both.legends[0]) == ["net, validated on held-out images", "other"]
    assert both.axes[3].get_ylabel() == "top-1, raw weights (%)"
    alone = comparison_figure([held, dataclasses.replace(held, name="other")])
    assert alone.axes[3].get_ylabel() == "top-1, raw weights, held-out (%)"
    within(alone)


# Several


def test_seeds_of_one_entry_differ_in_colour_mark_and_dashes():
    figure = comparison_figure([curve("a", seed) for seed in (0, 1, 42)])
    for axes in figure.axes:
        for differs in ("color", "marker", "linestyle"):
            assert len({getattr(line, f"get_{differs}")() for line in axes.lines}) == 3
    assert labels(figure.legends[0]) == ["a, seed 0", "a, seed 1", "a, seed 42"]


def test_a_few_runs_are_a_line_each_and_seeds_share_a_colour():
    figure = comparison_figure([curve("a", 0), curve("b", 0, starts=[(1, 5)]), curve("a", 1, top1=60.0, done=2)])
    raw = figure.axes[3]
    drawn = [line for line in raw.lines if line.get_label() != "_restart"]
    assert [line.get_ydata().tolist() for line in drawn] == [[50, 51, 52, 53], [60, 61], [50, 51, 52, 53]]
    colors = [to_hex(line.get_color()) for line in drawn]
    assert colors[0] == colors[1] != colors[2]
    assert drawn[0].get_linestyle() != drawn[1].get_linestyle()
    assert len({line.get_marker() for line in drawn}) == 3
    assert labels(figure.legends[0]) == ["a, seed 0", "a, seed 1, not finished, 2 of 4 epochs", "b", "restart"]
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "training loss",
        "validation loss (EMA)",
        "learning rate",
        "top-1, raw weights (%)",
        "top-1, EMA (%)",
        "throughput (images/s)",
    ]
    for axes in figure.axes:
        (mark,) = [line for line in axes.lines if line.get_label() == "_restart"]
        assert (mark.get_xdata(), to_hex(mark.get_color())) == ([1.5], colors[2])
    within(figure)


def test_of_many_runs_seeds_are_thin_lines_about_their_mean():
    seeds = (0, 1, 42)
    runs = [curve(name, seed, top1=50.0 + i) for name in "abc" for i, seed in enumerate(seeds)]
    assert len(runs) > ALONE
    figure = comparison_figure(runs)
    raw = figure.axes[3]
    assert not raw.collections
    for entry in range(3):
        mean, *thin = raw.lines[4 * entry : 4 * entry + 4]
        assert mean.get_ydata().tolist() == [51, 52, 53, 54]
        assert [line.get_ydata()[0] for line in thin] == [50, 51, 52]
        assert len({line.get_linestyle() for line in thin}) == 3
        assert {line.get_color() for line in thin} == {mean.get_color()}
        assert all(line.get_linewidth() < mean.get_linewidth() for line in thin)
    assert labels(figure.legends[0]) == ["a (n=3)", "b (n=3)", "c (n=3)", "seed 0", "seed 1", "seed 42"]
    handles = figure.legends[0].get_lines()[-3:]
    assert [line.get_linestyle() for line in handles] == [line.get_linestyle() for line in raw.lines[1:4]]
    assert figure.get_suptitle() == "Training curves of 9 runs, mean and seeds (thin lines) of each"
    within(figure)


def test_of_too_many_seeds_to_tell_apart_there_is_a_mean_and_a_range():
    runs = [curve(name, seed, top1=50.0 + 9 * (seed % 3) ** 2) for name in "abc" for seed in range(6)]
    runs[0] = runs[3] = curve("a", 0, done=2)
    figure = comparison_figure(runs)
    raw = figure.axes[3]
    assert [line.get_ydata().tolist() for line in raw.lines] == [[65, 66, 74.5, 75.5], *[[65, 66, 67, 68]] * 2]
    low, high = (f(raw.collections[1].get_paths()[0].vertices[:, 1]) for f in (min, max))
    assert (low, high) == (50, 89)
    assert labels(figure.legends[0]) == ["a (n=6), 2 not finished", "b (n=6)", "c (n=6)"]
    assert figure.get_suptitle() == "Training curves of 18 runs, mean and range of each"
    within(figure)


def test_forty_runs_are_told_apart_and_their_legend_covers_nothing():
    figure = comparison_figure([curve(f"network_{i}, imagenet, t2t_medium") for i in range(40)])
    styles = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(styles) == 40
    assert figure.get_suptitle() == "Training curves of 40 runs"
    within(figure)


def test_a_hundred_lines_are_not_named():
    figure = comparison_figure([curve(f"{i}", done=1) for i in range(100)])
    assert figure.get_suptitle() == "Training curves of 100 runs\n(no legend: 100 lines)"
    assert not figure.legends
    assert figure.get_size_inches()[1] < 6


def test_learning_rates_far_apart_are_on_a_logarithmic_axis():
    fast = curve("fast")
    for line in fast.metrics.lines:
        line["lr"] *= 100
    assert comparison_figure([curve(), fast]).axes[2].get_yscale() == "log"
    assert comparison_figure([curve(), curve("other")]).axes[2].get_yscale() == "linear"


def test_without_averaged_weights_their_panel_says_so():
    figure = comparison_figure([curve(averaged=False), curve("other", averaged=False)])
    assert [text.get_text() for text in figure.axes[4].texts] == ["nothing recorded"]
    assert figure.axes[1].get_ylabel() == "validation loss (raw)"
    mixed = comparison_figure([curve(averaged=False), curve("other")])
    assert mixed.axes[1].get_ylabel() == "validation loss (EMA or else raw)"
    assert [line.get_ydata()[0] for line in mixed.axes[1].lines] == [2.5, 2.4]


def test_a_run_without_a_finished_epoch_is_not_drawn():
    assert labels(comparison_figure([curve(), curve("other", done=0), curve("third")]).legends[0]) == ["net", "third"]


def test_the_page_says_how_far_each_is_and_what_is_wrong():
    runs = [curve(starts=[(1, 5), (2, 0)]), curve("other", done=3, status="diverged")]
    text = curves_markdown(runs, ["late-run"], ["bad-run: record.json: a number in it is none"])
    assert re.search(r"\| \[`net-s0-00000000`\]\(evidence/net-s0-00000000/record.json\) +\| completed, 4 epochs ", text)
    assert re.search(r"\| +1\.5, 2 \|", text)
    assert "diverged, 3 of 4 epochs" in text
    assert "No epoch finished yet: `late-run`." in text
    assert "- bad-run: record.json" in text
    assert "![Training curves of net-s0-00000000](curves/net-s0-00000000.png)" in text


# Names


def test_runs_that_differ_in_their_seed_alone_share_a_name_and_others_tell_the_difference():
    named = entry_names([TINY, TINY.with_seed(7), TUNED, TUNED.with_seed(7), RESNET])
    assert named[0] == named[1] == f"{TINY.network}, synthetic, smoke"
    assert len(set(named)) == 3
    other = dataclasses.replace(TUNED, recipe=override(TUNED.recipe, ["lr=0.5"]))
    small = dataclasses.replace(TUNED, img_size=16)
    scratch = dataclasses.replace(TUNED, start_from=None)
    first, *rest = entry_names([TUNED, other, small, scratch])
    plain = f"{TUNED.network}, synthetic, {TUNED.recipe.name}"
    start = f"from {TINY.run_id.rpartition('-s')[0]}"
    assert first == f"{plain}, {TUNED.img_size} px, {start}, lr {TUNED.recipe.lr}"
    assert rest[0] == f"{plain}, {TUNED.img_size} px, {start}, lr 0.5"
    assert rest[1].startswith(f"{plain}, 16 px, ")
    assert "from random weights" in rest[2]
    cousin = dataclasses.replace(TUNED, start_from=dataclasses.replace(TINY, img_size=16))
    assert len(set(entry_names([TUNED, cousin]))) == 2


# The command


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """(runs, reports): two runs with epochs, one that is begun, one that is not."""
    monkeypatch.setattr(bench.results.run_folder, "SETTLE_S", 0)  # nobody else claims them
    runs = tmp_path / "runs"
    for spec, done in ((TINY, 3), (TINY.with_seed(1), 4), (RESNET, 0)):
        with own(prepare(runs, spec)) as owned:
            found = curve(epochs=4, done=done, run_id=spec.run_id, spec=spec.identity())
            owned.save_metrics(found.record, found.metrics.lines)
    prepare(runs, TUNED)
    return runs, tmp_path / "reports"


def test_the_command_draws_what_it_is_asked_for_without_torch(folders, run_all):
    runs, reports = folders
    without_torch = (
        "import sys; sys.modules['torch'] = None; import bench.cli.main; sys.exit(bench.cli.main.main(sys.argv[1:]))"
    )
    done = run_all("curves", "t2t*", RESNET.run_id, "--runs", runs, "--reports", reports, code=without_torch)
    assert done.returncode == 0, done.stderr
    assert f"wrote {reports}/curves.md, {reports}/curves.csv, {reports}/curves.png, {reports}/curves.svg" in done.stdout
    assert f"wrote {reports}/curves/{TINY.run_id}.png, {reports}/curves/{TINY.run_id}.svg" in done.stdout
    assert "no epoch finished yet: " in done.stdout
    for run_id in (RESNET.run_id, TUNED.run_id):
        assert run_id in done.stdout.splitlines()[-1]
        assert f"`{run_id}`" in (reports / "curves.md").read_text()
    with (reports / "curves.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2", "3", "0", "1", "2"]  # seed 1, seed 42
    assert matplotlib.image.imread(reports / "curves.png").shape[1] == 1800


def test_the_evidence_beside_the_page_draws_it_again(folders):
    runs, reports = folders
    assert main(["curves", TINY.run_id, "--runs", str(runs), "--reports", str(reports)]) == 0
    again = reports.with_name("again")
    assert main(["curves", "*", "--runs", str(reports / "evidence"), "--reports", str(again)]) == 0
    assert (again / "curves.csv").read_bytes() == (reports / "curves.csv").read_bytes()
    assert (again / "curves.png").read_bytes() == (reports / "curves.png").read_bytes()


def test_one_run_is_its_own_picture(folders, capsys):
    runs, reports = folders
    assert main(["curves", TINY.run_id, "--runs", str(runs), "--reports", str(reports), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(run["run_id"], run["epoch"], run["epochs"]) for run in found["runs"]] == [(TINY.run_id, 3, 4)]
    assert set(found["reports"]) == {"curves"}
    assert set(found["reports"]["curves"]) == {"md", "csv", "png", "svg"}
    assert matplotlib.image.imread(reports / "curves.png").shape[:2] == (1160, 1800)
    assert not (reports / "curves").exists()


def test_damaged_files_are_named_and_the_others_drawn(folders, capsys):
    runs, reports = folders
    (runs / TINY.run_id / "metrics.jsonl").write_text("{")
    assert main(["curves", "*", "--runs", str(runs), "--reports", str(reports)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"run_all.py: {runs}/{TINY.run_id}/metrics.jsonl: line 1: not JSON")
    text = (reports / "curves.md").read_text()
    assert f"- {TINY.run_id}/metrics.jsonl: line 1: " in text
    other = TINY.with_seed(1).run_id
    assert f"| [`{other}`](evidence/{other}/record.json)" in text
    assert "No epoch finished yet" in text
    assert TINY.run_id not in text.partition("No epoch finished yet")[2].partition("\n")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["curves", "t2t_vit_99"], "unknown run 't2t_vit_99'"),
        (["curves", "*", "--table", "3"], "unrecognized arguments: --table 3"),
        (["--curves", "*"], "--curves is a command now: run_all.py curves"),
    ],
)
def test_a_request_that_is_wrong(folders, capsys, arguments, words):
    runs, reports = folders
    assert main([*arguments, "--runs", str(runs), "--reports", str(reports)]) == 2
    assert words in capsys.readouterr().err
    assert not reports.exists()


def test_nothing_to_draw_is_a_page_that_says_so(folders):
    runs, reports = folders
    assert main(["curves", RESNET.run_id, "--runs", str(runs), "--reports", str(reports)]) == 0
    assert sorted(path.name for path in reports.iterdir()) == ["curves.csv", "curves.md"]
    (runs / RESNET.run_id / "spec.json").write_text("{}")  # where nothing is drawn nobody reads it
    assert main(["curves", RESNET.run_id, "--runs", str(runs), "--reports", str(reports)]) == 0
    assert f"No epoch finished yet: `{RESNET.run_id}`." in (reports / "curves.md").read_text()


def test_a_suites_report_has_the_curves_of_its_runs(folders, capsys):
    runs, reports = folders
    assert main(["--budget", "smoke", "--runs", str(runs), "--reports", str(reports)]) == 0
    assert f"wrote {reports}/smoke_curves.png, {reports}/smoke_curves.svg" in capsys.readouterr().out
    assert "![Training curves of these runs](smoke_curves.png)" in (reports / "smoke.md").read_text()
