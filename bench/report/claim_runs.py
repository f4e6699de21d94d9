"""The runs that decide the paper's claims, with the seeds of each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.paper import TABLES
from bench.paper.figure_2 import SHOWN
from bench.spec.run import RunSpec
from bench.spec.table import Edition

_Line = Mapping[Any, Any]
"""of a ``claims_frame``, by column"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRuns:
    """The runs behind the accuracies that a claim compares."""

    claim: int
    runs: Mapping[RunSpec, int | None]
    """the seeds of each, the most of the comparisons that it is in; None where no number decides any of these"""
    comparisons: Mapping[str, int | None]
    """of accuracies, with the seeds of each network that decide them"""
    without_recipe: tuple[str, ...]
    """rows whose printed accuracy came about by an unknown recipe"""

    @property
    def is_decided(self) -> bool:
        """Whether a number of seeds decides every comparison."""
        return bool(self.comparisons) and None not in self.comparisons.values() and not self.without_recipe


def claim_runs(tried: pd.DataFrame, edition: Edition) -> list[ClaimRuns]:
    """The runs of each claim; those whose weights a run starts from are among them.

    Args:
        tried: from ``claims_frame``.
        edition: whose rows were compared.
    """
    lines_by_claim: dict[int, list[_Line]] = {}
    for line in tried.to_dict("records"):
        lines_by_claim.setdefault(line["claim"], []).append(line)
    return [_of_claim(claim, lines, edition) for claim, lines in lines_by_claim.items()]


def _of_claim(claim: int, lines: Iterable[_Line], edition: Edition) -> ClaimRuns:
    runs: dict[RunSpec, int | None] = {}
    comparisons: dict[str, int | None] = {}
    without_recipe: dict[str, None] = {}
    seeds: int | None
    for line in lines:
        seeds = None if pd.isna(line["seeds_needed"]) else int(line["seeds_needed"])
        if line["cell"] != "dead_pct" and line["cell"].endswith("_pct"):
            comparisons[_name(line)] = seeds
        for name, spec in _compared(line, edition):
            if spec is None:
                without_recipe[name] = None
                continue
            for run in reversed(spec.family):  # what it starts from first
                runs[run] = max(runs.get(run) or 0, seeds or 0) or None
    return ClaimRuns(claim=claim, runs=runs, comparisons=comparisons, without_recipe=tuple(without_recipe))


def _name(line: _Line) -> str:
    """A comparison's name, with the data set that its rows are fine-tuned on."""
    tuned_on = {"cifar10_pct": " on CIFAR-10", "cifar100_pct": " on CIFAR-100"}
    return f"{line['comparison']}{tuned_on.get(line['cell'], '')}"


def _compared(line: _Line, edition: Edition) -> Iterator[tuple[str, RunSpec | None]]:
    """The runs behind a comparison of accuracies or of dead channels, by row; a count needs none."""
    names = [line[side] for side in ("row", "against", "less", "less_against") if not pd.isna(line[side])]
    if line["cell"] == "dead_pct":
        yield from ((name, SHOWN[name][0]) for name in names)
    elif line["cell"].endswith("_pct"):
        rows = TABLES[line["table"]].rows_in(edition)
        for name in names:
            row = next(row for row in rows if row.name == name)
            yield name, next((run for run in row.runs if row.cell(run).accuracy == line["cell"]), None)
