"""Sets of runs with reports of their own, since few or none fill cells of the paper: budgets, settings, sweeps."""

import dataclasses
import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bench.experiments.budgets import BUDGETS, FILLS, QUESTIONS, SUITES, under
from bench.experiments.recipes import override
from bench.spec.errors import RequestError
from bench.spec.recipe import Recipe
from bench.spec.run import RunSpec, Teacher, Weights
from bench.spec.table import Row, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a suite, over all seeds."""

    row: str
    spec: RunSpec
    """with the seed that is trained where none is asked for"""
    swept: tuple[object, ...] = ()
    """its values of the swept fields"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A set of runs that one report shows."""

    name: str
    """of its files"""
    about: str
    entries: tuple[Entry, ...]
    sweep: tuple[str, ...] = ()
    """fields of the recipe that differ between entries of a row"""


MOST = 10_000
"""combinations in a sweep"""

MOST_RUNS = 100_000
"""that a command asks for: rows, combinations and seeds multiply, and to plan as many takes half a minute"""


def require_few_runs(*, rows: int, combinations: int = 1, seeds: int = 1) -> None:
    """Check how many runs a command asks for, before they are listed.

    Raises:
        RequestError: more than ``MOST_RUNS``; says how the number comes about.
    """
    if (size := rows * combinations * seeds) > MOST_RUNS:
        factors = {"combinations of --sweep": combinations, "seeds": seeds}
        parts = [
            f"{rows:,} {'row' if rows == 1 else 'rows'}",
            *(f"{n:,} {what}" for what, n in factors.items() if n > 1),
        ]
        raise RequestError(
            f"{size:,} runs ({' x '.join(parts)}); a command takes at most {MOST_RUNS:,}, so name fewer of them"
        )


def grid(sweep: Sequence[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Fields, and every combination of their values as ``--set`` takes them.

    Args:
        sweep: FIELD=V1,V2 of each field.

    Raises:
        RequestError: not of that form, or a field or value comes twice.
    """
    axes: dict[str, list[str]] = {}
    for text in sweep:
        name, equals, values = text.partition("=")
        options = values.split(",")
        if not equals or not all(options):
            raise RequestError(f"--sweep {text!r}: give it as FIELD=VALUE,VALUE, for example --sweep lr=5e-4,1e-3")
        if name in axes or len(set(options)) < len(options):
            raise RequestError(f"--sweep {text!r}: {name} or one of its values comes twice; give each once")
        axes[name] = [f"{name}={value}" for value in options]
    if (size := math.prod(map(len, axes.values()))) > MOST:
        raise RequestError(f"--sweep: {size:,} combinations; at most {MOST:,} make a sweep, so leave out some values")
    return tuple(axes), list(itertools.product(*axes.values()))


def suites(
    tables: Sequence[Table],
    *,
    budget: str,
    dataset: str | None = None,
    settings: Sequence[str] = (),
    sweep: Sequence[str] = (),
    fine_tuned_by: Recipe | None = None,
    weights: Mapping[str, Weights] = MappingProxyType({}),
    teacher: Teacher | None = None,
) -> list[Suite]:
    """The runs that stand in for the tables', or, without a table, the budget's own.

    Many parameters: each is an option of the command line, and all but the first two may be left out.

    Args:
        tables: of the paper.
        budget: one of ``BUDGETS``.
        dataset: instead of the runs' own.
        settings: FIELD=VALUE of the recipe.
        sweep: FIELD=V1,V2 of the recipe.
        fine_tuned_by: take the rows' fine-tunings, by this recipe, instead of their runs.
        weights: by network, files to fine-tune instead of the rows' own runs; rows without one are left out.
        teacher: take the runs that learn from a teacher, and give them this one.

    Raises:
        RequestError: a setting or a sweep is not possible, or asks for too many runs.
    """
    fields, points = grid(sweep)
    if "held_out" in fields:
        raise RequestError(
            "--sweep held_out: accuracies on different held-out images cannot be compared; choose one value with --set "
            "held_out="
        )
    if clash := {setting.partition("=")[0] for setting in settings} & set(fields):
        raise RequestError(f"{', '.join(clash)} is in both --set and --sweep; choose one")
    files = sorted({str(w) for w in weights.values()})
    changes = [*([dataset] if dataset else []), *([fine_tuned_by.name] if fine_tuned_by else []), *files]
    changes += [*([str(teacher)] if teacher else []), *sorted(settings)]
    apart = [*([budget] if budget != BUDGETS[0] else []), *changes, *(["sweep", *fields] if fields else [])]
    about = f"Runs under the {budget} budget"
    about += f", with {', '.join(changes)}" if changes else ""
    about += f", over a grid of {' and '.join(fields)}" if fields else ""
    question = [QUESTIONS[budget]] if budget in QUESTIONS and not tables else []
    fills = "They are not the paper's runs and fill none of its cells."
    if not (changes or fields):
        fills = FILLS.get(budget, fills)
    groups: list[tuple[list[str], Mapping[str, RunSpec]]] = [
        ([f"table_{table.number}"], _specs(table, budget, fine_tuned_by, weights, teacher)) for table in tables
    ] or [([], SUITES[budget])]
    require_few_runs(rows=sum(len(specs) for _, specs in groups), combinations=len(points))
    found = [
        Suite(
            name=_file_name("_".join([*label, *apart])),
            about=" ".join([f"{about}.", fills, *question]),
            entries=tuple(
                _entry(row, spec, dataset, [*settings, *point], fields)
                for row, spec in specs.items()
                for point in points
            ),
            sweep=fields,
        )
        for label, specs in groups
    ]
    found = [suite for suite in found if suite.entries]
    for suite in found:
        # Rows may share a run, as under a budget; points of one row may not.
        if fields and len({(entry.row, entry.spec.run_id) for entry in suite.entries}) < len(suite.entries):
            raise RequestError(f"--sweep {' '.join(sweep)}: two of its points are the same run; give each value once")
    return found


def repeated(specs: Mapping[str, RunSpec]) -> Suite:
    """The suite of runs that spec files name.

    Args:
        specs: by their names in the report, each over all seeds.
    """
    return Suite(
        name=_file_name("_".join(["repeated", *(spec.run_id for spec in specs.values())])),
        about="Runs trained from their spec files. Those that are the paper's own runs fill its cells, too.",
        entries=tuple(Entry(row=name, spec=spec) for name, spec in specs.items()),
    )


LONGEST = 120
"""characters of a report's name: with a suffix, and what a temporary file adds, no disk refuses it"""


def _file_name(text: str) -> str:
    """The text as the name of files: cut, with a hash of the whole, where it is long."""
    plain = re.sub(r"[^\w.=+-]", "-", text, flags=re.ASCII)
    if len(plain) <= LONGEST:
        return plain
    return f"{plain[: LONGEST - 9]}-{hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]}"


def _specs(
    table: Table, budget: str, fine_tuned_by: Recipe | None, weights: Mapping[str, Weights], teacher: Teacher | None
) -> dict[str, RunSpec]:
    """The runs of a table's rows, by name."""
    if fine_tuned_by:
        return {
            f"{row.name}, {spec.dataset}": dataclasses.replace(spec, recipe=fine_tuned_by)
            for row in table.rows
            for spec in fine_tunings(row, weights)
        }
    if teacher:
        learning = [row for row in table.rows if row.run and row.run.teacher]
        found = {row.name: under(budget, row) for row in learning}
        return {name: dataclasses.replace(spec, teacher=teacher) for name, spec in found.items() if spec}
    return {row.name: spec for row in table.rows if (spec := under(budget, row))}


def fine_tunings(row: Row, weights: Mapping[str, Weights]) -> list[RunSpec]:
    """A row's fine-tunings: of the weights that fit its network, where there are any, and else of its own run."""
    if not weights:
        return list(row.transfers)
    given = weights.get(row.network.model)
    return [spec.starting_from(given) for spec in row.transfers] if given else []


def _entry(row: str, spec: RunSpec, dataset: str | None, settings: Sequence[str], fields: Sequence[str]) -> Entry:
    recipe = override(spec.recipe, settings) if settings else spec.recipe
    if settings:  # so a summary of the recipe as it was would describe another run
        fixed = [setting for setting in settings if setting.partition("=")[0] not in fields]
        changes = [*fixed, *(f"each {name} of the table" for name in fields)]
        recipe = dataclasses.replace(recipe, summary=f"as {recipe.name} with {', '.join(changes)}")
    spec = dataclasses.replace(spec, recipe=recipe, dataset=dataset or spec.dataset)
    return Entry(row=row, spec=spec, swept=tuple(getattr(recipe, name) for name in fields))
