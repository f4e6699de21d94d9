"""What is missing of the paper's figures, the command that fills each gap, and what it would cost."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from bench.measure.cost import STATED_MACS_PER_S, Estimate
from bench.paper.released import RELEASED
from bench.report.frame import Measurements
from bench.report.text import DASH, escape, pipe
from bench.spec.contents import DATASETS
from bench.spec.run import RunSpec
from bench.spec.table import Edition, Table

Estimates = Mapping[str, Estimate | None]
"""by run id"""


def untrained(table: Table, edition: Edition, frame: pd.DataFrame) -> list[RunSpec]:
    """The runs of a table whose printed accuracy stands beside none of training.

    Args:
        table: of networks.
        edition: whose printed figures the frame shows.
        frame: from ``table_frame``.
    """
    return list(
        dict.fromkeys(
            run
            for row, line in zip(table.rows_in(edition), frame.to_dict("records"), strict=True)
            for run in row.runs
            for cell in [row.cell(run)]
            if not pd.isna(line[f"published_{cell.accuracy}"]) and pd.isna(line[cell.seeds])
        )
    )


def missing_markdown(
    tables: Sequence[Table],
    edition: Edition,
    frames: Sequence[pd.DataFrame],
    measurements: Measurements,
    estimates: Estimates,
    *,
    features_tried: bool = False,
) -> str:
    """The section of the index; says so where nothing is missing.

    Args:
        tables: of networks.
        edition: whose printed figures the frames show.
        frames: from ``table_frame``, one a table.
        measurements: of their networks.
        estimates: of the runs that are ``untrained``.
        features_tried: whether the claim on features was tried on trained ones.
    """
    lines: list[dict[str, str]] = []
    runs: dict[RunSpec, None] = {}
    for table, frame in zip(tables, frames, strict=True):
        command = f"`python run_all.py --table {table.number}`"
        if unmeasured := int(frame["macs_g"].isna().sum()):
            lines.append(_line(f"Table {table.number}: params and MACs of {_count(unmeasured, 'row')}", command, DASH))
        if left := untrained(table, edition, frame):
            what = f"Table {table.number}: {_count(len(left), 'run')}"
            lines.append(_line(what, f"{command[:-1]} --run slurm --data DIR`", _hours(left, estimates)))
            runs |= dict.fromkeys(left)
    if len(lines) > 1 and runs:
        what = f"all {_count(len(runs), 'run')}, of which tables share some"
        lines.append(_line(what, "`python run_all.py --all --run slurm --data DIR`", _hours(runs, estimates)))
    released = [
        run
        for table, frame in zip(tables, frames, strict=True)
        for row, line in zip(table.rows_in(edition), frame.to_dict("records"), strict=True)
        for run in row.runs
        for cell in [row.cell(run).accuracy]
        if run in RELEASED and not pd.isna(line[f"published_{cell}"]) and pd.isna(line[cell])
    ]
    if released:
        what = f"released weights of {_count(len(set(released)), 'accuracy', 'accuracies')}, evaluated"
        hours = _evaluating(dict.fromkeys(released), measurements)
        lines.append(_line(what, "`python run_all.py evaluate WEIGHTS --all --data DIR`", hours))
    stuck = list(dict.fromkeys(row.name for table in tables for row in table.rows_in(edition) if row.run is None))
    if not features_tried:
        what = "features of trained ViT-L/16 and ResNet50, for claim 11"
        lines.append(_line(what, "`python run_all.py figure 2 --weights FILE FILE`", DASH))
    if not lines:
        return "## What is missing\n\nNothing: every printed figure stands beside one of ours."
    bases = dict.fromkeys(found.basis for run in runs if (found := estimates.get(run.run_id)))
    by_macs = " MACs are not speed: networks with depthwise convolutions take longer than theirs say."
    notes = [
        f"GPU hours are estimates: {'; '.join(bases)}.{by_macs}" if bases else "",
        "`--run local` in the place of `--run slurm` trains on this machine, and `--dry-run` shows the plan.",
        f"No recipe is held for the printed top-1 of {' and '.join(map(escape, stuck))}." if stuck else "",
    ]
    shown = pipe(pd.DataFrame(lines), text=("Missing", "Command"))
    return f"## What is missing\n\n{shown}\n\n{' '.join(filter(None, notes))}"


def _line(what: str, command: str, hours: str) -> dict[str, str]:
    return {"Missing": what, "Command": command, "GPU hours": hours}


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _hours(runs: Iterable[RunSpec], estimates: Estimates) -> str:
    """Of the runs together; a dash where one of them is not known."""
    found = [estimates.get(run.run_id) for run in runs]
    known = [one.gpu_hours for one in found if one]
    return f"~{sum(known):,.0f}" if len(known) == len(found) else DASH


def _evaluating(runs: Iterable[RunSpec], measurements: Measurements) -> str:
    """One forward pass of the validation images, at the speed at which training is estimated."""
    macs = [
        DATASETS[run.dataset].val_images * measured.macs if (measured := measurements.get(run.network)) else None
        for run in runs
    ]
    known = [count for count in macs if count is not None]
    hours = sum(known) / STATED_MACS_PER_S / 3600
    return DASH if len(known) < len(macs) else f"~{hours:.1f}" if hours >= 0.05 else "<0.1"
