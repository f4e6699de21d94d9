"""The selection of runs in a folder: by id, network, state, job or a field such as ``lr=1e-3``."""

import argparse
import fnmatch
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.cli.parser import add_runs, as_name
from bench.launch.run_state import State
from bench.spec.errors import RequestError, unknown
from bench.spec.run import RunSpec

HELP = (
    "id or network (* and ? are wildcards), state such as failed, job number, or field such as lr=1e-3 or seed=0; "
    "several of one kind are alternatives, and different kinds must all match"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRuns:
    """The request of a command that stops or deletes runs."""

    runs: Path
    patterns: tuple[str, ...]
    yes: bool
    """whether to do it without asking"""
    as_json: bool


def add_chosen(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that stops or deletes runs."""
    parser.add_argument("patterns", nargs="+", type=as_name, metavar="RUN", help=HELP)
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    add_runs(parser)


def chosen_by(args: argparse.Namespace) -> ChosenRuns:
    """The request that the options of ``add_chosen`` make."""
    return ChosenRuns(runs=args.runs, patterns=tuple(args.patterns), yes=args.yes, as_json=args.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The properties by which a run can be selected."""

    run_id: str
    model: str = ""
    state: State
    job: str = ""
    """Slurm's id"""
    fields: Mapping[str, object] = field(default_factory=dict)
    """of its spec, by name"""


def fields_of(spec: RunSpec) -> dict[str, object]:
    """The values that a spec can be chosen by, those of its recipe among them."""
    values = dict(spec.identity())
    recipe, arguments = values.pop("recipe"), values.pop("model_args")
    assert isinstance(recipe, dict)
    assert isinstance(arguments, list)
    return {**dict(arguments), **recipe, **values, "recipe": spec.recipe.name}


def select(candidates: Sequence[Candidate], patterns: Sequence[str]) -> list[str]:
    """Ids of the runs that patterns choose, in order; of all runs if there are none.

    Raises:
        RequestError: a pattern can choose none of the runs; names it and the choices.
    """
    conditions: dict[str, set[str]] = defaultdict(set)
    for pattern in patterns:
        kind, ids = _matches(candidates, pattern)
        conditions[kind] |= ids
    return [each.run_id for each in candidates if all(each.run_id in ids for ids in conditions.values())]


def _matches(candidates: Sequence[Candidate], pattern: str) -> tuple[str, set[str]]:
    """The kind of a pattern, and the ids that it matches."""
    key, is_field, value = pattern.partition("=")
    if is_field:
        names = {name for each in candidates for name in each.fields}
        if key not in names:
            raise unknown("field of a run", key, sorted(names))
        found = {each.run_id for each in candidates if _equal(each.fields.get(key), value)}
        if not found:
            there = {str(each.fields[key]) for each in candidates if key in each.fields}
            raise unknown(f"value of {key}", value, sorted(there, key=natural)[:20])
        return key, found
    if re.fullmatch(r"\d+(_\d+)?", pattern):
        found = {each.run_id for each in candidates if pattern in (each.job, each.job.partition("_")[0])}
        if not found:
            raise RequestError(f"no run has job {pattern}; run_all.py status shows the jobs")
        return "job", found
    if pattern in set(State):
        return "state", {each.run_id for each in candidates if each.state == pattern}
    found = {
        each.run_id
        for each in candidates
        if fnmatch.fnmatchcase(each.run_id, pattern) or fnmatch.fnmatchcase(each.run_id.split("-")[0], pattern)
    }
    if not found:
        choices = [each.run_id for each in candidates][:20]
        raise unknown("run", pattern, choices, f"run_all.py status lists them; states are {', '.join(State)}")
    return "name", found


def _equal(found: object, text: str) -> bool:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return fnmatch.fnmatchcase(str(found).lower(), text.lower())
    try:
        return float(text) == found
    except ValueError:
        return False


def natural(text: str) -> list[tuple[int, float, str]]:
    """A key by which s10 comes after s2."""
    parts = re.split(r"(\d+(?:\.\d+)?(?:e-?\d+)?)", text)
    return [(0, float(part), "") if i % 2 else (1, 0.0, part) for i, part in enumerate(parts)]
