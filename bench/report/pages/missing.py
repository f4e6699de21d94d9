"""The section of the index on what is missing, with the command that fills each gap and what it would cost."""

from collections.abc import Iterable, Mapping

import pandas as pd

from bench.measure.cost import STATED_MACS_PER_S, Estimate
from bench.paper.released import RELEASED
from bench.report.frame import Measurements
from bench.report.inputs import IndexInputs, TableInputs
from bench.report.pages.claims import has_dead_channels
from bench.report.text import DASH, escape, gpu_hours, listed, pipe
from bench.spec.contents import DATASETS
from bench.spec.run import RunSpec

Estimates = Mapping[str, Estimate | None]
"""by run id"""


def untrained(inputs: TableInputs) -> list[RunSpec]:
    """The runs of a table whose printed accuracy has not been reproduced by training."""
    return list(
        dict.fromkeys(
            run
            for row, line in zip(inputs.table.rows_in(inputs.edition), inputs.frame.to_dict("records"), strict=True)
            for run in row.runs
            for cell in [row.cell(run)]
            if not pd.isna(line[f"published_{cell.accuracy}"]) and pd.isna(line[cell.seeds])
        )
    )


def missing_markdown(inputs: IndexInputs) -> str:
    """Write the section; it says so if nothing is missing."""
    lines: list[dict[str, str]] = []
    runs: dict[RunSpec, None] = {}
    estimates = inputs.estimates
    for one in inputs.tables:
        number = one.table.number
        command = f"`python run_all.py --table {number}`"
        if unmeasured := int(one.frame["macs_g"].isna().sum()):
            lines.append(_line(f"Table {number}: params and MACs of {_count(unmeasured, 'row')}", command, DASH))
        if left := untrained(one):
            what = f"Table {number}: {_count(len(left), 'run')}"
            lines.append(_line(what, f"{command[:-1]} --run slurm --data DIR`", _hours(left, estimates)))
            runs |= dict.fromkeys(left)
    if len(lines) > 1 and runs:
        what = f"all {_count(len(runs), 'run')} (tables share some)"
        lines.append(_line(what, "`python run_all.py --all --run slurm --data DIR`", _hours(runs, estimates)))
    if released := [run for one in inputs.tables for run in _unevaluated(one)]:
        what = f"evaluation of the released weights behind {_count(len(set(released)), 'accuracy', 'accuracies')}"
        measurements = {network: m for one in inputs.tables for network, m in one.found.measurements.items()}
        hours = _evaluating(dict.fromkeys(released), measurements)
        lines.append(_line(what, "`python run_all.py evaluate WEIGHTS --all --data DIR`", hours))
    if not has_dead_channels(inputs.claims):
        what = "dead channels of trained ViT-L/16 and ResNet50, for claim 11"
        lines.append(_line(what, "`python run_all.py figure 2 --weights FILE FILE --data DIR`", DASH))
    if not lines:
        return "## What is missing\n\nNothing: there is a result for every printed number."
    shown = pipe(pd.DataFrame(lines), text=("Missing", "Command"))
    return f"## What is missing\n\n{shown}\n\n{' '.join(_notes(inputs, runs))}"


def _unevaluated(inputs: TableInputs) -> list[RunSpec]:
    """Runs with an empty cell that their released weights could fill."""
    return [
        run
        for row, line in zip(inputs.table.rows_in(inputs.edition), inputs.frame.to_dict("records"), strict=True)
        for run in row.runs
        for cell in [row.cell(run).accuracy]
        if run in RELEASED and not pd.isna(line[f"published_{cell}"]) and pd.isna(line[cell])
    ]


def _notes(inputs: IndexInputs, runs: Iterable[RunSpec]) -> Iterable[str]:
    if bases := dict.fromkeys(found.basis for run in runs if (found := inputs.estimates.get(run.run_id))):
        yield f"GPU hours are estimates: {'; '.join(bases)}."
        yield "Networks with depthwise convolutions take longer than their MACs suggest."
    yield "`--run local` instead of `--run slurm` trains on this machine, and `--dry-run` only shows the plan."
    rows = [row for one in inputs.tables for row in one.table.rows_in(one.edition)]
    if stuck := list(dict.fromkeys(escape(row.name) for row in rows if row.run is None)):
        yield f"No recipe is known for the printed top-1 of {listed(stuck)}."


def _line(what: str, command: str, hours: str) -> dict[str, str]:
    return {"Missing": what, "Command": command, "GPU hours": hours}


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _hours(runs: Iterable[RunSpec], estimates: Estimates) -> str:
    """Hours of all runs together; a dash if those of any are unknown."""
    found = [estimates.get(run.run_id) for run in runs]
    known = [one.gpu_hours for one in found if one]
    return gpu_hours(sum(known)) if len(known) == len(found) else DASH


def _evaluating(runs: Iterable[RunSpec], measurements: Measurements) -> str:
    """Hours of one forward pass over the validation images, at the speed by which training is estimated."""
    macs = [
        DATASETS[run.dataset].val_images * measured.macs if (measured := measurements.get(run.network)) else None
        for run in runs
    ]
    known = [count for count in macs if count is not None]
    return DASH if len(known) < len(macs) else gpu_hours(sum(known) / STATED_MACS_PER_S / 3600)
