"""What to do about each run, from what is known of it. Pure: no torch, no submitit, no files, no clock."""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.specs import RunRecord, RunSpec


class Action(enum.StrEnum):
    """What a plan has in store for a run."""

    SUBMIT = "submit"
    RESUME = "resume"
    SKIP = "skip"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that is known of a run: from its folder, and from Slurm if it was ever submitted there."""

    record: RunRecord | None = None
    problem: str = ""
    """of a record that cannot be read"""
    trained_by: str = ""
    """the live process that owns the folder, by pid and host"""
    job: str = ""
    """Slurm's id of its newest job"""
    job_state: str = ""
    """as Slurm has it, such as PENDING; empty if there is no job, or Slurm has forgotten it"""
    job_reason: str = ""
    job_alive: bool = False
    """whether that job runs, or will run by itself"""
    unsure: str = ""
    """why nobody can tell whether that job is alive"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of a plan."""

    spec: RunSpec
    action: Action
    reason: str
    job: str = ""
    """that has the run already"""
    completed: bool = False


def plan(wanted: Iterable[RunSpec], known: Callable[[RunSpec], Known]) -> list[Decision]:
    """One decision for each run, and for each that one of them starts from, which comes before it.

    Args:
        wanted: in any number of tables; a run that several of them share is decided on once.
        known: what is known of a run.
    """
    decisions: dict[str, Decision] = {}

    def decide(spec: RunSpec, needed_by: str) -> Decision:
        if spec.run_id not in decisions:
            parent = decide(spec.start_from, spec.run_id) if spec.start_from else None
            decisions[spec.run_id] = _decide(spec, known(spec), parent, needed_by)
        return decisions[spec.run_id]

    for spec in wanted:
        decide(spec, "")
    return list(decisions.values())


def _decide(spec: RunSpec, known: Known, parent: Decision | None, needed_by: str) -> Decision:
    record = known.record
    completed = record is not None and record.status == "completed"

    def decision(action: Action, reason: str) -> Decision:
        purpose = f", for {needed_by}" if needed_by and action in (Action.SUBMIT, Action.RESUME) else ""
        job = known.job if known.job_alive else ""
        return Decision(spec=spec, action=action, reason=reason + purpose, job=job, completed=completed)

    if known.problem:
        return decision(Action.BLOCKED, f"{known.problem}; restore the record, or remove the run's folder")
    if completed:
        return decision(Action.SKIP, "completed")
    if known.job_alive:
        why = f" ({known.job_reason})" if known.job_reason else ""
        return decision(Action.SKIP, f"{known.job_state.lower()} as job {known.job}{why}")
    if known.trained_by:
        return decision(Action.SKIP, f"being trained by {known.trained_by}")
    if known.unsure:
        return decision(Action.BLOCKED, known.unsure)
    if record and record.status == "diverged":
        return decision(
            Action.BLOCKED,
            f"diverged: {record.error}; it would again: change the recipe with --set, or remove the run's folder",
        )
    if parent and parent.action is Action.BLOCKED:
        return decision(Action.BLOCKED, f"starts from {parent.spec.run_id}, which is blocked: {parent.reason}")
    if parent and parent.action is Action.SKIP and not (parent.completed or parent.job):
        return decision(Action.BLOCKED, f"starts from {parent.spec.run_id}, which is {parent.reason}; wait for it")
    after = f", after {parent.spec.run_id}" if parent and not parent.completed else ""
    if record is None:
        ended = f"job {known.job} ended ({known.job_state.lower()}) before it began" if known.job_state else "not begun"
        return decision(Action.SUBMIT, ended + after)
    done = f"after {record.epoch} of {record.epochs or spec.recipe.total_epochs} epochs"
    what = {"running": "killed", "interrupted": "interrupted", "failed": "failed"}[record.status]
    why = f": {record.error}" if record.error else ""
    return decision(Action.RESUME, f"{what} {done}{why}{after}")
