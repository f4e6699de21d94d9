"""A table's page as Markdown that renders on a forge."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from bench.paper.released import RELEASED
from bench.report.evidence import link, measurement_file
from bench.report.frame import NO_REASON
from bench.report.inputs import TableInputs
from bench.report.pages.accuracies import evaluated, recorded, reported, trained
from bench.report.pages.measured import measured
from bench.report.pages.misprints import printed_changes
from bench.report.text import (
    DASH,
    STANDARD_ERROR,
    code,
    escape,
    listed,
    means,
    percent,
    pipe_rows,
    printed,
    unused,
    with_error,
)
from bench.report.verdict import EQUAL, VERDICTS, decimals, verdict
from bench.spec.table import FINE_TUNED_CELLS, Published, Table, networks


def table_markdown(inputs: TableInputs) -> str:
    """Write the page of one table."""
    table, edition, frame = inputs.table, inputs.edition, inputs.frame
    name = f"table_{table.number}"
    shown = pipe_rows(comparison(frame))
    accuracies = [*trained(inputs), *evaluated(inputs), *recorded(inputs)]
    has_errors = any("±" in text for text in (shown, *accuracies))
    sections = [
        f"# Table {table.number}: {table.title}",
        f"The printed numbers are those of the {edition.name} edition ({edition.citation}). Params and MACs under "
        "*ours* were measured here. A dash means that there is no result here yet.",
        *(["![Top-1 accuracy against MACs and params](" + name + ".png)"] if table.has_picture else []),
        shown,
        f"± is the {STANDARD_ERROR}." if has_errors else "",
        *_changes(inputs),
        *_missing(inputs),
        *accuracies,
        *reported(inputs),
        *unused(_of_rows(table, inputs.found.problems)),
        "## Verdicts",
        _summary(frame),
        *_equal_by(frame),
        *_differences(inputs),
        *_candidates(inputs),
        *measured(inputs),
        f"The same data as CSV: [{name}.csv]({name}.csv).",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


REAL = "ReaL %"
"""heads the column of accuracies on reassessed labels, of which the paper prints none"""

_STRUCTURE = {"tokens": "T2T layer", "depth": "Depth", "hidden": "Hidden", "mlp": "MLP"}


def comparison(frame: pd.DataFrame, *, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """The frame as a reader sees it: every cell a string, a dash where a number is missing.

    Args:
        frame: the rows to show.
        table: all rows of the table, if ``frame`` has only some of them. A column is left out if the edition prints
            nothing in it for any of these.
    """
    whole = frame if table is None else table
    shown: dict[str, object] = {}
    if whole["group"].notna().any():
        shown["Group"] = frame["group"].mask(frame["group"].duplicated(), "")
    shown["Model"] = frame["model"]
    for column, label in _STRUCTURE.items():
        if whole[f"published_{column}"].notna().any():
            shown |= {f"{label}: paper": frame[f"published_{column}"].fillna(DASH)}
            # There is nothing to compare in rows whose structure the paper leaves out.
            shown |= {f"{label}: ours": frame[column].where(frame[f"published_{column}"].notna()).fillna(DASH)}
    if whole["published_top1_pct"].notna().any():
        shown |= {"Top-1 %: paper": frame["published_top1_pct"].map(printed)}
        shown |= {"Top-1 %: ours": _with_recorded(frame, _accuracies(frame, "top1", "seeds", "evaluated"))}
        if whole["real_pct"].notna().any():
            how = frame["evaluated_real_pct"].isna().map({True: "recorded", False: "evaluated"})
            cells = zip(frame["real_pct"], how, strict=True)
            shown |= {f"{REAL}: ours": [DASH if pd.isna(pct) else f"{pct:.2f} ({kind})" for pct, kind in cells]}
        if whole["reported_elsewhere"].notna().any():
            shown |= {"Top-1 %: reported elsewhere": _reported_ranges(frame)}
    if whole["baseline"].any():
        shown |= {f"Change: {whose}": _change_cells(frame, column) for whose, column in _CHANGES.items()}
    for data, label in (("cifar10", "CIFAR-10 %"), ("cifar100", "CIFAR-100 %")):
        if whole[f"published_{data}_pct"].notna().any():
            shown |= {f"{label}: paper": frame[f"published_{data}_pct"].map(printed)}
            shown |= {f"{label}: ours": _accuracies(frame, data, f"{data}_seeds", f"{data}_evaluated")}
    for cell, label, unit in (("params", "Params", "M"), ("macs", "MACs", "G")):
        value = f"{cell}_{unit.lower()}"
        if whole[f"published_{value}"].notna().any():
            shown |= {
                f"{label} {unit}: paper": frame[f"published_{value}"].map(printed),
                f"{label} {unit}: ours": _measured(frame, value),
                f"{label}: difference": [_relative(d) for d in frame[f"{cell}_difference_pct"]],
                f"{label}: verdict": frame[f"{cell}_verdict"].fillna(DASH),
            }
    return pd.DataFrame(shown)


def terminal_cells(frame: pd.DataFrame, *, table: pd.DataFrame) -> pd.DataFrame:
    """The ``comparison`` as a terminal shows it, narrower than the page: with it Table 3 would outgrow 80 columns."""
    cells = comparison(frame, table=table)
    for label in ("Params", "MACs"):
        if (name := f"{label}: verdict") in cells:
            cells[name] = cells[name].where(cells[name].isin([EQUAL, DASH]), cells[f"{label}: difference"])
    left_out = [name for name in cells if str(name).startswith(REAL) or str(name).endswith(("elsewhere", "difference"))]
    return cells.drop(columns=left_out)


def _accuracies(frame: pd.DataFrame, name: str, count: str, evaluated: str) -> list[str]:
    """Accuracies with their standard errors: the mean of n seeds that were trained, or that of evaluated weights."""
    errors, finders = frame[f"{evaluated}_std_err"], frame[f"{evaluated}_found_by"]
    cells = zip(means(frame, name), frame[f"{name}_pct"], frame[count], errors, finders, strict=True)
    how = {"content": "evaluated, found by content"}
    return [
        cell
        if pd.isna(pct)
        else f"{with_error(pct, error)} ({how.get(finder, 'evaluated')})"
        if pd.isna(n)
        else f"{cell} (n={n})"
        for cell, pct, n, error, finder in cells
    ]


def _with_recorded(frame: pd.DataFrame, cells: list[str]) -> list[str]:
    """The cells, with the recorded accuracy where it is the only one."""
    own = frame["seeds"].notna() | frame["evaluated_std_err"].notna()
    lines = zip(cells, own, frame["recorded_top1_pct"], frame["recorded_std_err"], strict=True)
    return [cell if has or pd.isna(pct) else f"{with_error(pct, error)} (recorded)" for cell, has, pct, error in lines]


def _reported_ranges(frame: pd.DataFrame) -> list[str]:
    """The accuracies that others reported of the row's released weights, from the lowest to the highest."""
    ends = zip(frame["reported_low_pct"].map(percent), frame["reported_high_pct"].map(percent), strict=True)
    return [low if low == high else f"{low} to {high}" for low, high in ends]


_CHANGES = {"paper": "published_change_pct", "ours": "change_pct"}


def _change_cells(frame: pd.DataFrame, column: str) -> list[str]:
    pairs = zip(frame[column], frame["baseline"], strict=True)
    return ["baseline" if baseline else DASH if pd.isna(d) else f"{d:+z.1f}" for d, baseline in pairs]


def _changes(inputs: TableInputs) -> list[str]:
    """The meaning of *change*, and each printed change that contradicts the accuracies printed beside it."""
    if not inputs.frame["baseline"].any():
        return []
    about = "*Change* is the difference in top-1 from the group's baseline, in points."
    return [" ".join([about, *printed_changes(inputs.table, inputs.edition)])]


def verdict_counts(frame: pd.DataFrame) -> dict[str, int]:
    """The number of params and MACs cells with each verdict, from the best to the worst."""
    verdicts = pd.concat([frame["params_verdict"], frame["macs_verdict"]])
    return {name: int((verdicts == name).sum()) for name in VERDICTS}


def counts_in_words(counts: Mapping[str, int]) -> str:
    """Counts of verdicts in a sentence: "8 are equal to the printed ones, 1 is within 1 % of them and 7 differ"."""
    equal, close, differing = (counts[name] for name in VERDICTS)
    return (
        f"{equal} {'is' if equal == 1 else 'are'} equal to the printed ones, {close} {'is' if close == 1 else 'are'} "
        f"within 1 % of them and {differing} {'differs' if differing == 1 else 'differ'} by more"
    )


def _summary(frame: pd.DataFrame) -> str:
    counts = verdict_counts(frame)
    return f"Of {sum(counts.values())} measured numbers, {counts_in_words(counts)}. {VERDICT_MEANINGS}"


VERDICT_MEANINGS = (
    "*Equal* means that the measured number, rounded or cut off at the last printed digit, gives the printed one; "
    "*within 1 %* and *differs* refer to the relative difference."
)


def _equal_by(frame: pd.DataFrame) -> list[str]:
    """A footnote on the numbers that are equal only if they are rounded, or only if they are cut off."""
    parts = []
    for how, words in (("rounding", "only if rounded"), ("truncation", "only if cut off")):
        cells = [
            f"{escape(line['model'])} ({label})"
            for line in frame.to_dict("records")
            for cell, label in (("params", "params"), ("macs", "MACs"))
            if line[f"{cell}_equal_by"] == how
        ]
        if cells:
            parts.append(f"{words}: {', '.join(cells)}")
    return [f"Equal {'; '.join(parts)}."] if parts else []


def _differences(inputs: TableInputs) -> list[str]:
    """The numbers that are not equal to the printed ones, with the reason where it is known."""
    table, edition, frame = inputs.table, inputs.edition, inputs.frame
    rows_by_difference: dict[str, list[str]] = {}  # rows that share a network differ alike
    for row, line in zip(table.rows_in(edition), frame.to_dict("records"), strict=True):
        published, _ = row.printed(edition)
        for text in [*_differing_counts(line), *_differing_structure(published, line)]:
            rows_by_difference.setdefault(text, []).append(escape(row.name))
    lines = [f"- {', '.join(names)}, {difference}" for difference, names in rows_by_difference.items()]
    sections = ["Where they differ:\n\n" + "\n".join(lines)] if lines else []
    rows = [row for row in table.rows_in(edition) if row.published and row.printed(edition)[1] is not edition]
    amended = list(dict.fromkeys(escape(row.name) for row in rows))
    if amended and edition.amends:
        sections.append(
            f"The {edition.name} edition does not print {listed(amended)}; the numbers shown are from the "
            f"{edition.amends.name} edition."
        )
    return sections


def _differing_counts(line: Mapping[Any, Any]) -> Iterator[str]:
    for cell, label, unit in (("params_m", "params", "M"), ("macs_g", "MACs", "G")):
        reason = line[f"{label.lower()}_reason"]
        if pd.isna(reason):
            continue
        target = line[f"published_{cell}"]
        trainable = ""
        if cell == "params_m" and verdict(target, line["trainable_params_m"]) == EQUAL:
            trainable = f" ({_with_digits(line['trainable_params_m'], target)} M of them trainable)"
        yield (
            f"{label}: {printed(target)} {unit} printed, {_with_digits(line[cell], target)} {unit} here{trainable}; "
            f"{reason}."
        )


def _differing_structure(published: Published, line: Mapping[Any, Any]) -> Iterator[str]:
    for column, target in published.structure.items():
        if not pd.isna(line[column]) and line[column] != target:
            yield f"{column}: {target} printed, {line[column]} here; {published.why.get(column, NO_REASON)}."


def _candidates(inputs: TableInputs) -> list[str]:
    """Other networks that the printed numbers may belong to, with their measurements."""
    rows_by_note: dict[str, list[str]] = {}
    for row in inputs.table.rows_in(inputs.edition):
        published, _ = row.printed(inputs.edition)
        for candidate in row.candidates:
            found = inputs.found.measurements.get(candidate.network)
            if found is None:
                continue
            cells = [
                f"{_with_digits(value, target)} {unit} {label} ({verdict(target, value)})"
                for target, value, unit, label in (
                    (published.params_m, found.params / 1e6, "M", "params"),
                    (published.macs_g, found.macs / 1e9, "G", "MACs"),
                )
                if target is not None
            ]
            network = link(code(str(candidate.network)), measurement_file(candidate.network))
            note = f"{candidate.what} ({network}): {', '.join(cells)}."
            rows_by_note.setdefault(note, []).append(escape(row.name))
    if not rows_by_note:
        return []
    lines = [f"- {', '.join(names)}: {note}" for note, names in rows_by_note.items()]
    return ["Other networks that the printed numbers may belong to, with their own verdicts:", "\n".join(lines)]


def _missing(inputs: TableInputs) -> list[str]:
    """The gaps in the table, each with the command that fills it."""
    table, frame = inputs.table, inputs.frame
    command = f"python run_all.py --table {table.number}"
    parts = []
    if unmeasured := [escape(name) for name in frame.loc[frame["macs_g"].isna(), "model"]]:
        parts.append(f"Params and MACs of {listed(unmeasured)} have not been measured here. To measure them:")
        parts.append(f"```\n{command}\n```")
    accuracies = frame[frame["published_top1_pct"].notna()]
    rows = table.rows_in(inputs.edition)
    if untrained := [i for i in accuracies.index if pd.isna(accuracies["seeds"][i])]:
        parts.append(f"Top-1 has not been reproduced by training for {_part(len(untrained), len(accuracies))}.")
        if weights := int(accuracies.loc[untrained, "top1_pct"].notna().sum()):
            parts[-1] += f" For {weights} of them, the table shows the accuracy of released weights instead."
        if any(rows[i].run for i in untrained):
            parts[-1] += " To train what is missing, with ImageNet in `DIR/imagenet/{train,val}`:"
            parts.append(f"```\n{command} --run local --data DIR\n```")
        if stuck := [escape(rows[i].name) for i in untrained if rows[i].run is None]:
            parts.append(f"This leaves out {listed(stuck)}, because no recipe is known for the printed top-1.")
    tuned = {cell: frame[f"published_{cell.accuracy}"].notna() for cell in FINE_TUNED_CELLS}
    if any(there.any() for there in tuned.values()):
        parts.append("*Top-1* is on ImageNet, before fine-tuning.")
        if missing := sum(int(frame.loc[there, cell.seeds].isna().sum()) for cell, there in tuned.items()):
            parts[-1] += (
                f" {missing} of the accuracies after fine-tuning have not been reproduced here. Once the rows' "
                "ImageNet weights are trained, this fine-tunes them, with CIFAR in `DIR/cifar10` and `DIR/cifar100`:"
            )
            parts.append(f"```\n{command} --run local --data DIR\n```")
    return [*parts, *_released(inputs)]


def _part(some: int, of: int) -> str:
    """A part of the rows in words."""
    return f"{some} of the {of} rows" if some < of else f"any of the {of} rows" if of > 1 else "the only row"


def _released(inputs: TableInputs) -> list[str]:
    """Rows whose accuracy released weights could fill, and how."""
    waiting = [
        row.name
        for row, line in zip(inputs.table.rows_in(inputs.edition), inputs.frame.to_dict("records"), strict=True)
        for run in row.runs
        for cell in [row.cell(run).accuracy]
        if run in RELEASED and pd.isna(line[cell]) and not pd.isna(line[f"published_{cell}"])
    ]
    if not waiting:
        return []
    return [
        f"Released weights exist for {listed([escape(name) for name in dict.fromkeys(waiting)])}. To evaluate them, "
        "with their files in `WEIGHTS` (timm's are downloaded if they are not there):",
        f"```\npython run_all.py evaluate WEIGHTS --table {inputs.table.number} --data DIR\n```",
    ]


def _of_rows(table: Table, problems: Iterable[str]) -> list[str]:
    """The problems with a file of the table's rows: a record, an evaluation or a measurement."""
    runs = {f"{run.model}-{run.dataset.replace('/', '_')}-" for row in table.rows for run in row.runs}
    starts = (*runs, *(f"{network}-{network.img_size}px." for network in networks(table.rows)))
    return [p for p in problems if any(part.startswith(starts) for part in p.partition(": ")[0].split("/"))]


def _measured(frame: pd.DataFrame, cell: str) -> list[str]:
    return [_with_digits(v, p) for v, p in zip(frame[cell], frame[f"published_{cell}"], strict=True)]


def _relative(difference_pct: float) -> str:
    return DASH if pd.isna(difference_pct) else f"{difference_pct:+z.2f} %"


def _with_digits(value: float, target: float) -> str:
    """A measured value with two digits more than the printed one has, so that the verdict can be followed."""
    return DASH if pd.isna(value) else f"{value:.{_digits(target)}f}"


def _digits(target: float) -> int:
    return 3 if pd.isna(target) else decimals(target) + 2
