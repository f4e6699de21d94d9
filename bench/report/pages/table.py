"""A table's report as Markdown that renders on a forge."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.experiments.suites import Entry, Suite
from bench.paper.released import RELEASED
from bench.report.evidence import FOLDER, LISTED_SEEDS, link, measurement_file
from bench.report.frame import (
    NO_EVALUATIONS,
    NO_REASON,
    Evaluations,
    Measurements,
    Records,
    compares_seeds,
    evaluations_frame,
    runs_frame,
    seeds_frame,
    swept_columns,
    that_start_whole,
)
from bench.report.pages.misprints import printed_changes
from bench.report.text import DASH, escape, pipe, unused
from bench.report.verdict import VERDICTS, decimals, verdict
from bench.results.measurement import Complexity
from bench.results.record import RunRecord
from bench.spec.run import Teacher
from bench.spec.table import FINE_TUNED_CELLS, Edition, Published, Table, networks


def figure(value: float, printed: float) -> str:
    """A measured figure with two digits more than was printed, so that the verdict can be followed."""
    return DASH if pd.isna(value) else f"{value:.{_digits(printed)}f}"


def table_markdown(
    table: Table,
    edition: Edition,
    frame: pd.DataFrame,
    measurements: Measurements,
    records: Records,
    evaluations: Evaluations = NO_EVALUATIONS,
    problems: Sequence[str] = (),
) -> str:
    """The report of one table.

    Args:
        table: the paper's table.
        edition: whose printed figures the frame shows.
        frame: from ``table_frame``.
        measurements: what the frame was made from, for the evidence below it.
        records: likewise, the runs.
        evaluations: likewise, those of released weights.
        problems: a line on each corrupt file in the folder of runs, which counts as none; those on files of the
            table's rows are listed.
    """
    name = f"table_{table.number}"
    sections = [
        f"# Table {table.number}: {table.title}",
        f"Printed figures: {edition.name} edition ({edition.citation}). "
        "Params and MACs beside them were measured by this suite; a dash is a figure that nobody has measured here.",
        *(["![Top-1 accuracy against MACs and params](" + name + ".png)"] if table.has_picture else []),
        _pipe(comparison(frame)),
        *_changes(table, edition, frame),
        _missing(table, edition, frame),
        *_trained(table, records, evaluations),
        *_evaluated(evaluations_frame(table, edition, evaluations)),
        *unused(_of_rows(table, problems)),
        "## Verdicts\n\n" + _summary(frame),
        *_differences(table, edition, frame),
        *_candidates(table, edition, measurements),
        "## Evidence\n\n" + _evidence(frame),
        _provenance(table, edition, measurements),
        f"The same figures for programs: [{name}.csv]({name}.csv).",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


_STRUCTURE = {"tokens": "T2T layer", "depth": "Depth", "hidden": "Hidden", "mlp": "MLP"}


def comparison(frame: pd.DataFrame, *, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """The frame as a reader sees it: every cell a string, a dash where a figure is missing.

    Args:
        frame: the rows to show.
        table: all rows of the table, if these are some of them. Columns of which the edition prints nothing for any
            are left out.
    """
    whole = frame if table is None else table
    shown: dict[str, object] = {}
    if whole["group"].notna().any():
        shown["Group"] = frame["group"].mask(frame["group"].duplicated(), "")
    shown["Model"] = frame["model"]
    for column, label in _STRUCTURE.items():
        if whole[f"published_{column}"].notna().any():
            shown |= {f"{label}: paper": frame[f"published_{column}"].fillna(DASH)}
            # Of rows whose structure the paper leaves out there is nothing to compare.
            shown |= {f"{label}: ours": frame[column].where(frame[f"published_{column}"].notna()).fillna(DASH)}
    if whole["published_top1_pct"].notna().any():
        shown |= {"Top-1 %: paper": frame["published_top1_pct"].map(_printed)}
        shown |= {"Top-1 %: ours": _accuracies(frame, "top1", "seeds", "evaluated")}
    if whole["baseline"].any():
        shown |= {f"Change: {whose}": _change_cells(frame, column) for whose, column in _CHANGES.items()}
    for data, label in (("cifar10", "CIFAR-10 %"), ("cifar100", "CIFAR-100 %")):
        if whole[f"published_{data}_pct"].notna().any():
            shown |= {f"{label}: paper": frame[f"published_{data}_pct"].map(_printed)}
            shown |= {f"{label}: ours": _accuracies(frame, data, f"{data}_seeds", f"{data}_evaluated")}
    for cell, label, unit in (("params", "Params", "M"), ("macs", "MACs", "G")):
        figure_, difference = f"{cell}_{unit.lower()}", f"{cell}_difference_{unit.lower()}"
        if whole[f"published_{figure_}"].notna().any():
            shown |= {
                f"{label} {unit}: paper": frame[f"published_{figure_}"].map(_printed),
                f"{label} {unit}: ours": _figures(frame, figure_),
                f"{label} {unit}: difference": _differences_of(frame, difference, figure_),
                f"{label}: verdict": frame[f"{cell}_verdict"].fillna(DASH),
            }
    return pd.DataFrame(shown)


_CHANGES = {"paper": "published_change_pct", "ours": "change_pct"}


def _change_cells(frame: pd.DataFrame, column: str) -> list[str]:
    pairs = zip(frame[column], frame["baseline"], strict=True)
    return ["baseline" if baseline else DASH if pd.isna(d) else f"{d:+z.1f}" for d, baseline in pairs]


def _changes(table: Table, edition: Edition, frame: pd.DataFrame) -> list[str]:
    """What the change is, and where the one printed contradicts the accuracies printed beside it."""
    if not frame["baseline"].any():
        return []
    about = "*Change* is top-1 against the baseline of the group, in points."
    return [" ".join([about, *printed_changes(table, edition)])]


def verdict_counts(frame: pd.DataFrame) -> dict[str, int]:
    """How many params and MACs cells got each verdict, from the best to the worst."""
    given = pd.concat([frame["params_verdict"], frame["macs_verdict"]])
    return {name: int((given == name).sum()) for name in VERDICTS}


def _summary(frame: pd.DataFrame) -> str:
    counts = verdict_counts(frame)
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"Of {sum(counts.values())} measured cells: {listed}. {VERDICT_MEANINGS}"


VERDICT_MEANINGS = (
    "A cell *matches* when the measured figure gives the printed one both rounded and cut off at its last digit, "
    "*rounds* or *truncates* when only one of the two does, and *differs* when neither does."
)


def _differences(table: Table, edition: Edition, frame: pd.DataFrame) -> list[str]:
    rows_by_difference: dict[str, list[str]] = {}  # rows that share a network differ alike
    for row, line in zip(table.rows_in(edition), frame.to_dict("records"), strict=True):
        published, _ = row.figures(edition)
        for text in [*_differing_counts(line), *_differing_structure(published, line)]:
            rows_by_difference.setdefault(text, []).append(escape(row.name))
    lines = [f"- {', '.join(names)}, {difference}" for difference, names in rows_by_difference.items()]
    sections = ["Where they differ:\n\n" + "\n".join(lines)] if lines else []
    rows = [row for row in table.rows_in(edition) if row.published and row.figures(edition)[1] is not edition]
    amended = list(dict.fromkeys(escape(row.name) for row in rows))
    if amended and edition.amends:
        sections.append(
            f"The {edition.name} edition does not print {', '.join(amended)}; their figures are the "
            f"{edition.amends.name} edition's."
        )
    return sections


def _differing_counts(line: Mapping[Any, Any]) -> Iterator[str]:
    for cell, label, unit in (("params_m", "params", "M"), ("macs_g", "MACs", "G")):
        if line[f"{label.lower()}_verdict"] != "differs":
            continue
        printed = line[f"published_{cell}"]
        trainable = ""
        if cell == "params_m" and verdict(printed, line["trainable_params_m"]) != "differs":
            trainable = f" ({figure(line['trainable_params_m'], printed)} M of them trainable)"
        yield (
            f"{label}: {_printed(printed)} {unit} printed, {figure(line[cell], printed)} {unit} here{trainable}; "
            f"{line[f'{label.lower()}_reason']}."
        )


def _differing_structure(published: Published, line: Mapping[Any, Any]) -> Iterator[str]:
    for column, printed in published.structure.items():
        if not pd.isna(line[column]) and line[column] != printed:
            yield f"{column}: {printed} printed, {line[column]} here; {published.why.get(column, NO_REASON)}."


def _candidates(table: Table, edition: Edition, measurements: Measurements) -> list[str]:
    """Other networks that the printed figures may be of, with what was measured of them."""
    rows_by_note: dict[str, list[str]] = {}
    for row in table.rows_in(edition):
        published, _ = row.figures(edition)
        for candidate in row.candidates:
            measured = measurements.get(candidate.network)
            if measured is None:
                continue
            cells = [
                f"{figure(value, printed)} {unit} {label} ({verdict(printed, value)})"
                for printed, value, unit, label in (
                    (published.params_m, measured.params / 1e6, "M", "params"),
                    (published.macs_g, measured.macs / 1e9, "G", "MACs"),
                )
                if printed is not None
            ]
            network = link(f"`{candidate.network}`", measurement_file(candidate.network))
            note = f"{candidate.what} ({network}): {', '.join(cells)}."
            rows_by_note.setdefault(note, []).append(escape(row.name))
    if not rows_by_note:
        return []
    lines = [f"- {', '.join(names)}: {note}" for note, names in rows_by_note.items()]
    return ["Other networks that printed figures may be of, with their own verdicts:\n\n" + "\n".join(lines)]


def _missing(table: Table, edition: Edition, frame: pd.DataFrame) -> str:
    command = f"python run_all.py --table {table.number}"
    parts = []
    if unmeasured := [escape(name) for name in frame.loc[frame["macs_g"].isna(), "model"]]:
        parts.append(f"Params and MACs of {', '.join(unmeasured)} are not measured here. This measures them:")
        parts.append(f"```\n{command}\n```")
    printed = frame[frame["published_top1_pct"].notna()]
    rows = table.rows_in(edition)
    if untrained := [i for i in printed.index if pd.isna(printed["seeds"][i])]:
        parts.append(f"Top-1 of {len(untrained)} of {len(printed)} rows is not reproduced here.")
        if evaluated := int(printed.loc[untrained, "top1_pct"].notna().sum()):
            parts[-1] += f" Of {evaluated} of them it is that of released weights, evaluated here."
        if any(rows[i].run for i in untrained):
            parts[-1] += " This trains what is missing, with ImageNet in `DIR/imagenet/{train,val}`:"
            parts.append(f"```\n{command} --run local --data DIR\n```")
        if stuck := [escape(rows[i].name) for i in untrained if rows[i].run is None]:
            parts.append(f"It does not train {', '.join(stuck)}: no recipe is held for the printed top-1.")
    tuned = {cell: frame[f"published_{cell.accuracy}"].notna() for cell in FINE_TUNED_CELLS}
    if any(there.any() for there in tuned.values()):
        parts.append("*Top-1* is on ImageNet, ahead of fine-tuning.")
        if missing := sum(int(frame.loc[there, cell.seeds].isna().sum()) for cell, there in tuned.items()):
            parts[-1] += (
                f" {missing} accuracies after fine-tuning are not reproduced here. This fine-tunes the rows' ImageNet "
                "weights, once these are trained, with CIFAR in `DIR/cifar10` and `DIR/cifar100`:"
            )
            parts.append(f"```\n{command} --run local --data DIR\n```")
    return "\n\n".join([*parts, *_released(table, edition, frame)])


def _released(table: Table, edition: Edition, frame: pd.DataFrame) -> list[str]:
    """Rows whose accuracy released weights could fill, and how."""
    waiting = [
        row.name
        for row, line in zip(table.rows_in(edition), frame.to_dict("records"), strict=True)
        for run in row.runs
        for cell in [row.cell(run).accuracy]
        if run in RELEASED and pd.isna(line[cell]) and not pd.isna(line[f"published_{cell}"])
    ]
    if not waiting:
        return []
    return [
        f"Weights were released of {', '.join(map(escape, dict.fromkeys(waiting)))}. This evaluates them, with their "
        "files in `WEIGHTS` (timm's are fetched where they are missing):",
        f"```\npython run_all.py evaluate WEIGHTS --table {table.number} --data DIR\n```",
    ]


def _trained(table: Table, records: Records, evaluations: Evaluations) -> list[str]:
    """The runs behind our accuracies, and those that fill no cell."""
    rows = [
        Entry(row=row.name if spec is row.run else f"{row.name}, {spec.dataset}", spec=spec)
        for row in table.rows
        for spec in row.runs
        if records.get(spec.run_id)
    ]
    if not rows:
        return []
    partial = [
        f"{escape(entry.row)} (`{record.run_id}`) {why}: it fills no cell."
        for entry in rows
        for record in records[entry.spec.run_id][:LISTED_SEEDS]
        if (why := _why_not_whole(record))
    ]
    starting_whole = {
        spec: {record.run_id for record in that_start_whole(row, spec, records, evaluations)}
        for row in table.rows
        for spec in row.transfers
    }
    partial += [
        f"{escape(row.name)}, {spec.dataset} (`{record.run_id}`) was fine-tuned from weights that fill no cell: it "
        "fills none." + (" `evaluate` on the whole of ImageNet may change that." if "weights" in record.spec else "")
        for row in table.rows
        for spec in row.transfers
        for record in records.get(spec.run_id, ())[:LISTED_SEEDS]
        if record.is_whole and record.run_id not in starting_whole[spec]
    ]
    frame = runs_frame(rows, records)
    return ["\n\n".join(["## Trained here", *_runs(frame), PROTOCOLS, *partial])]


def _why_not_whole(record: RunRecord) -> str:
    """Why a completed run's accuracy is not the row's; empty if it is."""
    if record.status != "completed" or record.is_whole:
        return ""
    return f"was trained on {record.data.get('train_images'):,} images, which are not the complete data set"


def _of_rows(table: Table, problems: Iterable[str]) -> list[str]:
    """Those of the problems that are of a file of the table's rows: a record, an evaluation or a measurement."""
    runs = {f"{run.model}-{run.dataset.replace('/', '_')}-" for row in table.rows for run in row.runs}
    starts = (*runs, *(f"{network}-{network.img_size}px." for network in networks(table.rows)))
    return [p for p in problems if any(part.startswith(starts) for part in p.partition(": ")[0].split("/"))]


def _runs(frame: pd.DataFrame, sweep: Sequence[str] = ()) -> list[str]:
    """The runs as a table, and how many are not listed if they are many."""
    listed = frame[frame.groupby(["model", *swept_columns(sweep)], sort=False).cumcount() < LISTED_SEEDS]
    table = _pipe(runs_comparison(listed, sweep))
    if rest := len(frame) - len(listed):
        more = f"And {rest:,} more: {LISTED_SEEDS} seeds of each are listed, with their records in `{FOLDER}/`."
        return [table, f"{more} The records of the others stay in the folder of runs; means are over all."]
    return [table]


def _evaluated(frame: pd.DataFrame) -> list[str]:
    """The evaluations of released weights, and why some fill no cell."""
    if frame.empty:
        return []
    lines = frame.to_dict("records")
    shown = pd.DataFrame(
        {
            "Model": frame["model"],
            "data set": frame["dataset"],
            "file": [link(f"`{line['file']}`", line["evidence"]) for line in lines],
            "sha256": [f"`{line['sha256'][:12]}`" for line in lines],
            "key": [DASH if pd.isna(key) else f"`{key}`" for key in frame["key"]],
            "images": [f"{line['images']:,} of {line['expected_images']:,}" for line in lines],
            "top-1 %": [f"{line['top1_pct']:.2f} ± {line['se_pct']:.2f}" for line in lines],
            "printed": frame["published_top1_pct"].map(_printed),
            "difference": [DASH if pd.isna(d) else f"{d:+z.2f}" for d in frame["difference_pct"]],
            "top-5 %": frame["top5_pct"].map(_percent),
            "protocol": [
                f"{line['img_size']} px, crop {line['crop_pct']:g}, {line['eval_interpolation']}, {line['precision']}"
                for line in lines
            ],
        }
    )
    notes = [
        f"{escape(line['model'])}, {line['dataset']} (`{line['file']}`): {note}."
        for line in lines
        for note in _evaluation_notes(line)
    ]
    return ["\n\n".join(["## Evaluated here", _pipe(shown), EVALUATED, *notes])]


EVALUATED = (
    "Released weights, evaluated and not trained here: ± is the binomial standard error on the images of the "
    "validation set. Weights that were trained here, where there are any, fill the cell instead."
)


def _evaluation_notes(line: Mapping[Any, Any]) -> Iterator[str]:
    if line["found_by"] == "content":
        yield f"found by its content, not by its name; taken for {line['released']}"
    if not pd.isna(line["published_elsewhere"]):
        yield f"printed {line['published_elsewhere']}"
    if not pd.isna(line["resized"]):
        yield f"fills no cell: {line['resized']} resized to {line['img_size']} px, so it is not what was released"
    if line["images"] < line["expected_images"]:
        failed = f", {line['unreadable']} failed to load" if line["unreadable"] else ""
        yield f"fills no cell: {line['images']:,} of {line['expected_images']:,} images{failed}"


PROTOCOLS = (
    "*Best EMA* is the paper's protocol: the best epoch of the averaged weights, chosen on the validation set. *Last* "
    "is the honest one. The table shows the paper's, as mean and sample standard deviation over the n seeds that were "
    "trained to their end; a recipe without averaging shows its raw weights."
)


def runs_comparison(frame: pd.DataFrame, sweep: Sequence[str] = ()) -> pd.DataFrame:
    """Runs with all four accuracies, every cell a string."""
    return pd.DataFrame(
        {
            "Model": frame["model"],
            **{name: frame[f"recipe_{name}"].map(str) for name in sweep},
            "seed": frame["seed"].map(str),
            "status": [_status(line) for line in frame.to_dict("records")],
            "images, train": frame["train_images"].map(_count),
            "val": frame["val_images"].map(_count),
            "best EMA top-1 %": frame["ema_best_top1_pct"].map(_percent),
            "last EMA": frame["ema_last_top1_pct"].map(_percent),
            "best raw": frame["raw_best_top1_pct"].map(_percent),
            "last raw": frame["raw_last_top1_pct"].map(_percent),
            **_if_any("held out", frame["held_out_last_top1_pct"], _percent),
            "images/s, last epoch": frame["images_per_s"].map(lambda v: DASH if pd.isna(v) else f"{v:.0f}"),
            "minutes": frame["wall_time_s"].map(lambda v: DASH if pd.isna(v) else f"{v / 60:.1f}"),
            "where": [
                DASH if pd.isna(d) else f"{d}, {p}" for d, p in zip(frame["device"], frame["precision"], strict=True)
            ],
            **_if_any("starts from", frame["starts_from"], _code),
            **_if_any("teacher", frame["teacher"], _code),
            "run": [
                f"`{run_id}`" if pd.isna(file) else link(f"`{run_id}`", file)
                for run_id, file in zip(frame["run_id"], frame["evidence"], strict=True)
            ],
        }
    )


def _if_any(name: str, column: "pd.Series[Any]", text: Callable[[Any], str]) -> dict[str, "pd.Series[str]"]:
    """The column as text, if it holds anything."""
    return {name: column.map(text)} if column.notna().any() else {}


def _code(value: str) -> str:
    return DASH if pd.isna(value) else f"`{value}`"


def seeds_comparison(frame: pd.DataFrame, sweep: Sequence[str] = ()) -> pd.DataFrame:
    """A ``seeds_frame`` as a reader sees it, every cell a string."""
    counts = zip(frame["seeds"], frame["runs"], strict=True)
    return pd.DataFrame(
        {
            "Model": frame["model"],
            **{name: frame[f"recipe_{name}"].map(str) for name in sweep},
            "n": [f"{n}" if n == runs else f"{n} of {runs}" for n, runs in counts],
            "best EMA top-1 %": _over_seeds(frame, "ema_best_top1"),
            "last EMA": _over_seeds(frame, "ema_last_top1"),
            "best raw": _over_seeds(frame, "raw_best_top1"),
            "last raw": _over_seeds(frame, "raw_last_top1"),
            **({"held out": _over_seeds(frame, "held_out_last_top1")} if _holds_out(frame) else {}),
        }
    )


def _over_seeds(frame: pd.DataFrame, figure: str) -> list[str]:
    """Mean ± standard deviation; no deviation for one seed."""
    pairs = zip(frame[f"{figure}_pct"], frame[f"{figure}_std"], strict=True)
    return [_percent(mean) if pd.isna(std) else f"{mean:.2f} ± {std:.2f}" for mean, std in pairs]


def _accuracies(frame: pd.DataFrame, figure: str, count: str, evaluated: str) -> list[str]:
    """Mean ± standard deviation (n) of what was trained, or accuracy ± standard error of what was evaluated."""
    errors, finders = frame[f"{evaluated}_se_pct"], frame[f"{evaluated}_found_by"]
    cells = zip(_over_seeds(frame, figure), frame[f"{figure}_pct"], frame[count], errors, finders, strict=True)
    how = {"content": "evaluated, found by content"}
    return [
        cell
        if pd.isna(pct)
        else f"{pct:.2f} ± {se:.2f} ({how.get(finder, 'evaluated')})"
        if pd.isna(n)
        else f"{cell} (n={n})"
        for cell, pct, n, se, finder in cells
    ]


NOTHING_CORRUPT: Mapping[str, str] = {}


def runs_markdown(
    suite: Suite,
    records: Records,
    command: str,
    seeds: Sequence[int] = (),
    *,
    has_curves: bool = False,
    corrupt: Mapping[str, str] = NOTHING_CORRUPT,
) -> str:
    """The report of runs that are none of the paper's: a budget's, a sweep's, or with settings of their own.

    Args:
        suite: what was to be trained.
        records: what was.
        command: that trains what is missing.
        seeds: that were asked for.
        has_curves: whether the picture of their training curves lies beside it.
        corrupt: a line on each corrupt record of these runs, which counts as none, by run id.
    """
    frame = runs_frame(suite.entries, records, suite.sweep, seeds, corrupt)
    by_entry = seeds_frame(frame, suite.sweep)
    recipes = dict.fromkeys(entry.spec.recipe for entry in suite.entries)
    protocols = PROTOCOLS.partition(" The table")[0] + " A recipe without averaging shows its raw weights."
    protocols += HELD_OUT if _holds_out(frame) else ""
    sections = [f"# {title(suite)}", suite.about]
    if suite.sweep or (by_entry["runs"] > 1).any():
        if suite.sweep and by_entry["seeds"].any():
            sections.append(f"![Top-1 accuracy over {' and '.join(suite.sweep)}]({suite.name}.png)")
        elif compares_seeds(by_entry):
            sections.append(f"![Top-1 accuracy over seeds]({suite.name}.png)")
        sections += [
            _pipe(seeds_comparison(by_entry, suite.sweep)),
            "Mean and sample standard deviation over the n seeds that were trained to their end.",
            "## Runs",
        ]
    sections += [*_runs(frame, suite.sweep), protocols, *unused([*corrupt.values()])]
    named = {recipe.name: recipe for recipe in recipes}
    sections.append("\n".join(f"- `{name}`: {escape(recipe.summary)}." for name, recipe in named.items()))
    if not (frame["status"] == "completed").all():
        sections.append(f"This trains what is missing:\n\n```\n{command}\n```")
    fewest = frame["val_images"].min()
    if not pd.isna(fewest):
        sections.append(
            f"Standard error of an accuracy on {fewest:,} images: up to {50 / fewest**0.5:.1f} points, at 50 %"
            + ("; of one seed, so what another seed would change is not in it." if by_entry["seeds"].max() < 2 else ".")
        )
    if has_curves:
        sections.append(f"## Training curves\n\n![Training curves of these runs]({suite.name}_curves.png)")
    errors = frame[frame["error"].notna()]
    sections += [f"- {escape(line['model'])}: {escape(line['error'])}" for line in errors.to_dict("records")]
    used = [record for entry in suite.entries for record in records.get(entry.spec.run_id, ())]
    versions = {", ".join(f"{k} {v}" for k, v in record.versions.items()) for record in used}
    sections += [f"Trained with {text}." for text in sorted(versions)]
    sections.append(f"The same figures for programs: [{suite.name}.csv]({suite.name}.csv).")
    return "\n\n".join(sections) + "\n"


HELD_OUT = (
    " *Held out* is on the training images that a recipe keeps from training, to choose by: such a recipe sees the "
    "data set's own validation images once, after the last epoch, and no best epoch is known of them."
)


def _holds_out(frame: pd.DataFrame) -> bool:
    return bool(frame["held_out_last_top1_pct"].notna().any())


def title(suite: Suite) -> str:
    """Of a suite's report."""
    return suite.name.replace("_", " ").capitalize()


def _status(line: Mapping[Any, Any]) -> str:
    state = str(line["status"])
    if state not in ("completed", "not begun", "corrupt record"):
        state = f"{state}, epoch {line['epoch']} of {line['epochs']}"
    return state


def _count(value: int) -> str:
    return DASH if pd.isna(value) else f"{value:,}"


def _percent(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.2f}"


def _evidence(frame: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "Model": frame["model"],
            "network": [f"`{name}`" for name in frame["network"]],
            "px": frame["img_size"].map(str),
            "recipe of the printed top-1": [DASH if pd.isna(name) else f"`{name}`" for name in frame["recipe"]],
            "params": _counts(frame, "params_m", 1e6),
            "trainable": _counts(frame, "trainable_params_m", 1e6),
            "MACs": _counts(frame, "macs_g", 1e9),
            "linear and convolution only": _counts(frame, "linear_macs_g", 1e9),
            "torch's counter": _counts(frame, "torch_macs_g", 1e9),
            "evidence": [
                DASH if pd.isna(day) else link(day, file)
                for day, file in zip(frame["measured_on"], frame["measured_in"], strict=True)
            ],
        }
    )
    return _pipe(shown)


def _provenance(table: Table, edition: Edition, measurements: Measurements) -> str:
    used = [measurements[n] for n in networks(table.rows_in(edition)) if n in measurements]
    convention = (
        "MACs: fvcore's count at batch 1 (linear layers, convolutions, matrix products, norms, pooling), fused "
        "attention included. *Linear and convolution only* is the convention of some model zoos. *torch's counter* "
        "(FlopCounterMode, halved) sees no norms and no pooling; it confirms the rest. Without a counter, and left "
        f"out everywhere: {uncounted(used)}."
    )
    recipes = [
        f"- `{recipe.name}`: {escape(recipe.summary)}. Values and their sources: `bench/experiments/recipes.py`."
        for recipe in dict.fromkeys(run.recipe for row in table.rows_in(edition) for run in row.runs)
    ]
    return convention + "\n\n" + "\n".join([*recipes, *_teachers(table, edition, measurements), *measured_where(used)])


def _teachers(table: Table, edition: Edition, measurements: Measurements) -> list[str]:
    """A line for each teacher, with those that it teaches, and its size where it was measured."""
    taught: dict[Teacher, list[str]] = {}
    sizes: dict[Teacher, str] = {}
    for row in table.rows_in(edition):
        if row.run and row.run.teacher:
            taught.setdefault(row.run.teacher, []).append(escape(row.name))
            network = row.run.teacher_network
            if network and (measured := measurements.get(network)):
                size = f"{measured.params / 1e6:.1f} M params, {measured.macs / 1e9:.1f} G MACs"
                sizes[row.run.teacher] = f" It has {link(size, measurement_file(network))}."
    return [
        f"- `{teacher}` teaches {', '.join(names)}: {teacher.source}.{sizes.get(teacher, '')}"
        for teacher, names in taught.items()
    ]


def measured_where(used: Sequence[Complexity]) -> list[str]:
    """A line for each machine and set of versions that measured."""
    return [f"- Measured {when} on {where}." for where, when in _sessions(used).items()]


def uncounted(used: Sequence[Complexity]) -> str:
    """Operators that no counter knows, by name."""
    names = sorted({name.rsplit("::", 1)[-1].rstrip("_") for m in used for name in m.uncounted_operators})
    return ", ".join(f"`{name}`" for name in names) or DASH


def _sessions(used: Sequence[Complexity]) -> dict[str, str]:
    """Machine and versions, with the day or days on which they measured."""
    days: dict[str, set[str]] = {}
    for m in used:
        versions = ", ".join(f"{library} {version}" for library, version in m.versions.items())
        days.setdefault(f"{m.machine}, with {versions}", set()).add(m.measured_at[:10])
    return {where: " and ".join(sorted({min(found), max(found)})) for where, found in days.items()}


def _figures(frame: pd.DataFrame, cell: str) -> list[str]:
    return [figure(v, p) for v, p in zip(frame[cell], frame[f"published_{cell}"], strict=True)]


def _differences_of(frame: pd.DataFrame, difference: str, cell: str) -> list[str]:
    pairs = zip(frame[difference], frame[f"published_{cell}"], strict=True)
    return [DASH if pd.isna(d) else f"{d:+z.{_digits(p)}f}" for d, p in pairs]


def _digits(printed: float) -> int:
    return 3 if pd.isna(printed) else decimals(printed) + 2


def _counts(frame: pd.DataFrame, cell: str, unit: float) -> list[str]:
    return [DASH if pd.isna(v) else f"{round(v * unit):,}" for v in frame[cell]]


def _printed(value: float) -> str:
    return DASH if pd.isna(value) else repr(float(value))


def _pipe(shown: pd.DataFrame) -> str:
    """A pipe table of rows or runs, numbers to the right and names and verdicts to the left."""
    return pipe(shown.assign(Model=shown["Model"].map(escape)), _TEXT)


_TEXT = (
    "Group",
    "Model",
    "network",
    "T2T layer: paper",
    "T2T layer: ours",
    "recipe of the printed top-1",
    "Params: verdict",
    "MACs: verdict",
    "status",
    "evidence",
    "where",
    "starts from",
    "teacher",
    "run",
    "data set",
    "file",
    "sha256",
    "key",
    "protocol",
)
"""columns of names"""
