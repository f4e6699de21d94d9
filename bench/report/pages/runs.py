"""Runs as a reader sees them: lists of runs, means over seeds, and the page of a suite."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.experiments.suites import Suite
from bench.report.evidence import FOLDER, LISTED_SEEDS, link
from bench.report.frame import compares_seeds, seeds_frame, swept_columns
from bench.report.inputs import SuiteInputs
from bench.report.text import DASH, STANDARD_ERROR, code, command, escape, means, percent, pipe_rows, unused
from bench.results.progress import duration
from bench.results.record import RunRecord
from bench.results.usage import usage
from bench.spec.text import one_line

PROTOCOLS = (
    "*Best EMA* is the paper's protocol: the best epoch of the averaged weights, chosen on the validation set itself. "
    "*Last* is the final epoch, which involves no choice. A recipe without averaging has no EMA."
)

HELD_OUT = (
    " *Held out* is measured on training images that the recipe keeps aside for choosing. Such a recipe uses the data "
    "set's own validation images only once, after the last epoch, so it has no best epoch."
)


def suite_markdown(inputs: SuiteInputs, *, has_curves: bool = False) -> str:
    """Write the page of runs beyond the paper's tables: a budget's, a sweep's, or with settings of their own.

    Args:
        inputs: the suite with its records.
        has_curves: whether a picture of the training curves exists beside the page.
    """
    suite, frame = inputs.suite, inputs.frame
    by_entry = seeds_frame(frame, suite.sweep)
    sections = [f"# {escape(title(suite))}", escape(suite.about)]
    sections += [*_means(suite, by_entry), *list_of_runs(frame, suite.sweep)]
    sections.append(PROTOCOLS + (HELD_OUT if _holds_out(frame) else ""))
    sections += unused([*inputs.corrupt.values(), *inputs.lost])
    recipes = {entry.spec.recipe.name: entry.spec.recipe for entry in suite.entries}
    sections.append("\n".join(f"- {code(name)}: {escape(recipe.summary)}." for name, recipe in recipes.items()))
    if not (frame["status"] == "completed").all():
        sections.append(f"To train what is missing:\n\n{command(*inputs.command)}")
    fewest = frame["val_images"].min()
    if not pd.isna(fewest):
        alone = " It does not include the variation between seeds." if by_entry["seeds"].max() < 2 else ""
        most = 50 / fewest**0.5
        sections.append(
            f"The standard error of an accuracy on {fewest:,} images is at most {most:.1f} points (at 50 %).{alone}"
        )
    if has_curves:
        sections.append(f"## Training curves\n\n![Training curves of these runs]({suite.name}_curves.png)")
    errors = frame[frame["error"].notna()]
    sections += [f"- {escape(line['model'])}: {escape(line['error'])}" for line in errors.to_dict("records")]
    used = [record for entry in suite.entries for record in inputs.records.get(entry.spec.run_id, ())]
    sections += used_by(used)
    versions = {", ".join(f"{k} {v}" for k, v in record.versions.items()) for record in used}
    sections += [f"Trained with {escape(text)}." for text in sorted(versions)]
    sections += _trained_by(used)
    sections.append(f"The same data as CSV: [{suite.name}.csv]({suite.name}.csv).")
    return "\n\n".join(sections) + "\n"


def _trained_by(records: Sequence[RunRecord]) -> list[str]:
    """The commands that trained runs, as far as their records hold them."""
    commands = dict.fromkeys(one_line(record.command) for record in records if record.command)
    if not commands:
        return []
    about = "`DIR` is the folder of the data sets" if any("DIR" in line for line in commands) else ""
    return [f"Trained by{f' ({about})' if about else ''}:", "\n".join(["```", *commands, "```"])]


def used_by(records: Sequence[RunRecord]) -> list[str]:
    """The cost of runs, if any held GPUs or waited in a queue."""
    found = [(record, usage(record)) for record in records]
    found = [(record, used) for record, used in found if used.gpu_hours or used.queue_wait_s is not None]
    if not found:
        return []
    table = pd.DataFrame(
        {
            "run": [code(record.run_id) for record, _ in found],
            "GPU hours": [f"{used.gpu_hours:.3g}" for _, used in found],
            "estimated": [
                DASH if used.estimated_gpu_hours is None else f"{used.estimated_gpu_hours:.3g}" for _, used in found
            ],
            "waited in the queue": [
                DASH if used.queue_wait_s is None else duration(used.queue_wait_s) for _, used in found
            ],
            "restarts": [str(used.restarts) for _, used in found],
            "trained again": [duration(used.lost_s) if used.lost_s else DASH for _, used in found],
        }
    )
    total = sum(used.gpu_hours for _, used in found)
    expected = [used.estimated_gpu_hours for _, used in found if used.estimated_gpu_hours is not None]
    estimate = f" {sum(expected):.3g} GPU hours were expected of {len(expected)} of them." if expected else ""
    return ["## Cost", f"{len(found)} runs used {total:.3g} GPU hours together.{estimate}", pipe_rows(table)]


def _means(suite: Suite, by_entry: pd.DataFrame) -> list[str]:
    """The mean over the seeds of each entry, with its picture, if there is more than one run of any."""
    if not (suite.sweep or (by_entry["runs"] > 1).any()):
        return []
    picture = []
    if suite.sweep and by_entry["seeds"].any():
        picture = [f"![Top-1 accuracy over {' and '.join(suite.sweep)}]({suite.name}.png)"]
    elif not suite.sweep and compares_seeds(by_entry):
        picture = [f"![Top-1 accuracy over seeds]({suite.name}.png)"]
    about = f"Mean over the n completed seeds ± its {STANDARD_ERROR}."
    best = [_best_points(suite.sweep, by_entry)] if suite.sweep and by_entry["seeds"].any() else []
    return [*picture, pipe_rows(seeds_comparison(by_entry, suite.sweep)), about, *best, "## Runs"]


def _best_points(sweep: Sequence[str], by_entry: pd.DataFrame) -> str:
    """Name each network's best point, if images were held out to choose it by."""
    if not _holds_out(by_entry):
        return (
            "No best point is named: these accuracies are those of the test set, and a point that is chosen on the "
            "test set looks better than it is. `--set held_out=0.1` keeps a tenth of the training images aside for "
            "choosing."
        )
    trained = by_entry.dropna(subset="held_out_last_top1_pct")
    best = trained.sort_values("held_out_last_top1_pct", ascending=False).drop_duplicates("model").sort_index()
    fields = list(zip(sweep, swept_columns(sweep), strict=True))
    points = [
        f"{escape(line['model'])}: {code(' '.join(f'{field}={line[column]}' for field, column in fields))}"
        for line in best.to_dict("records")
    ]
    so_far = "" if (by_entry["seeds"] == by_entry["runs"]).all() else " so far"
    return f"The best point{so_far}, chosen on held-out images: {'; '.join(points)}."


def title(suite: Suite) -> str:
    """The title of a suite's page."""
    return suite.name.replace("_", " ").capitalize()


def list_of_runs(frame: pd.DataFrame, sweep: Sequence[str] = ()) -> list[str]:
    """A ``runs_frame`` as a table, with a line on the runs that are left out if there are many."""
    listed = frame[frame.groupby(["model", *swept_columns(sweep)], sort=False).cumcount() < LISTED_SEEDS]
    table = pipe_rows(runs_comparison(listed, sweep))
    if rest := len(frame) - len(listed):
        more = f"{rest:,} more: only {LISTED_SEEDS} seeds of each are listed, with their records in `{FOLDER}/`."
        return [table, f"{more} The other records stay in the folder of runs. Means are over all seeds."]
    return [table]


def runs_comparison(frame: pd.DataFrame, sweep: Sequence[str] = ()) -> pd.DataFrame:
    """A ``runs_frame`` as a reader sees it: all four accuracies, every cell a string."""
    return pd.DataFrame(
        {
            "Model": frame["model"],
            **{name: frame[f"recipe_{name}"].map(lambda value: escape(str(value))) for name in sweep},
            "seed": frame["seed"].map(str),
            "status": [_status(line) for line in frame.to_dict("records")],
            "images, train": frame["train_images"].map(_count),
            "val": frame["val_images"].map(_count),
            "best EMA top-1 %": frame["ema_best_top1_pct"].map(percent),
            "last EMA": frame["ema_last_top1_pct"].map(percent),
            "best raw": frame["raw_best_top1_pct"].map(percent),
            "last raw": frame["raw_last_top1_pct"].map(percent),
            **_if_any("held out", frame["held_out_last_top1_pct"], percent),
            "images/s, last epoch": frame["images_per_s"].map(lambda v: DASH if pd.isna(v) else f"{v:.0f}"),
            "minutes": frame["wall_time_s"].map(lambda v: DASH if pd.isna(v) else f"{v / 60:.1f}"),
            "where": [
                DASH if pd.isna(d) else f"{d}, {p}" for d, p in zip(frame["device"], frame["precision"], strict=True)
            ],
            **_if_any("starts from", frame["starts_from"], _code),
            **_if_any("teacher", frame["teacher"], _code),
            "run": [
                code(run_id) if pd.isna(file) else link(code(run_id), file)
                for run_id, file in zip(frame["run_id"], frame["evidence"], strict=True)
            ],
        }
    )


def seeds_comparison(frame: pd.DataFrame, sweep: Sequence[str] = ()) -> pd.DataFrame:
    """A ``seeds_frame`` as a reader sees it: every cell a string."""
    counts = zip(frame["seeds"], frame["runs"], strict=True)
    return pd.DataFrame(
        {
            "Model": frame["model"],
            **{name: frame[f"recipe_{name}"].map(lambda value: escape(str(value))) for name in sweep},
            "n": [f"{n}" if n == runs else f"{n} of {runs}" for n, runs in counts],
            "best EMA top-1 %": means(frame, "ema_best_top1"),
            "last EMA": means(frame, "ema_last_top1"),
            "best raw": means(frame, "raw_best_top1"),
            "last raw": means(frame, "raw_last_top1"),
            **({"held out": means(frame, "held_out_last_top1")} if _holds_out(frame) else {}),
        }
    )


def _holds_out(frame: pd.DataFrame) -> bool:
    return bool(frame["held_out_last_top1_pct"].notna().any())


def _if_any(name: str, column: "pd.Series[Any]", text: Callable[[Any], str]) -> dict[str, "pd.Series[str]"]:
    """The column as text, unless it is empty."""
    return {name: column.map(text)} if column.notna().any() else {}


def _code(value: str) -> str:
    return DASH if pd.isna(value) else code(value)


def _status(line: Mapping[Any, Any]) -> str:
    state = str(line["status"])
    if state not in ("completed", "not begun", "corrupt record"):
        state = f"{state}, epoch {line['epoch']} of {line['epochs']}"
    return state


def _count(value: int) -> str:
    return DASH if pd.isna(value) else f"{value:,}"
