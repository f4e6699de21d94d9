"""Decide what to do about each run, from its state. Pure: reads no files, no queue and no clock."""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from bench.launch.run_state import RunState, State
from bench.spec.run import RunSpec


class Action(enum.StrEnum):
    """The step that a plan takes for a run."""

    SUBMIT = "submit"
    RESUME = "resume"
    SKIP = "skip"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One line of a plan."""

    spec: RunSpec
    action: Action
    reason: str
    job: str = ""
    """that has the run already"""
    too_little_memory_gb: float | None = None
    """what its last job had on each node, if that was too little"""
    completed: bool = False
    after: str = ""
    """id of the run that it must wait for, since it starts from its weights"""


def plan(wanted: Iterable[RunSpec], known: Callable[[RunSpec], RunState]) -> list[Decision]:
    """One decision for each run, and for each that one of them has yet to start from, which comes before it.

    Args:
        wanted: in any number of tables; a run that several of them share is decided on once.
        known: what is known of a run.
    """
    decisions: dict[str, Decision] = {}

    def decide(spec: RunSpec, needed_by: str) -> Decision:
        if spec.run_id not in decisions:
            found = known(spec)
            decision = _decide(spec, found, needed_by)
            if spec.start_from and not found.has_checkpoint:
                if decision.action in (Action.SUBMIT, Action.RESUME):
                    decision = _behind(decision, decide(spec.start_from, spec.run_id))
                elif found.job_state == "PENDING" and _is_lost(known(spec.start_from)):
                    why = f"job {found.job} waits for {spec.start_from.run_id}, whose job has ended"
                    remedy = f"cancel it with run_all.py cancel {spec.run_id} and run the command again"
                    decision = replace(decision, action=Action.BLOCKED, reason=f"{why}; {remedy}")
            decisions[spec.run_id] = decision
        return decisions[spec.run_id]

    for spec in wanted:
        decide(spec, "")
    return list(decisions.values())


def _decide(spec: RunSpec, known: RunState, needed_by: str) -> Decision:
    """Decide about one run, regardless of the others."""
    record, state = known.record, known.state

    def decision(action: Action, reason: str) -> Decision:
        purpose = f", for {needed_by}" if needed_by and action in (Action.SUBMIT, Action.RESUME) else ""
        job = known.job if known.job_alive else ""
        completed = state is State.COMPLETED
        return Decision(
            spec=spec,
            action=action,
            reason=reason + purpose,
            job=job,
            too_little_memory_gb=known.too_little_memory_gb,
            completed=completed,
        )

    if known.problem and not known.is_recoverable:
        return decision(Action.BLOCKED, known.problem)
    if state is State.COMPLETED:
        return decision(Action.SKIP, f"completed, but {known.lost_file}" if known.lost_file else "completed")
    if known.job_state == "COMPLETING":
        return decision(Action.BLOCKED, f"job {known.job} is ending; run the command again in a minute")
    if known.never:
        remedy = f"cancel it with run_all.py cancel {spec.run_id} and run the command again with other options"
        return decision(Action.BLOCKED, f"{known.never}; {remedy}")
    if known.job_alive:
        why = f" ({known.job_reason})" if known.job_reason else ""
        whose = f" of {known.job_user}" if known.whose else ""
        return decision(Action.SKIP, f"{known.job_state.lower()} as job {known.job}{whose}{why}")
    if state is State.RUNNING:
        return decision(Action.SKIP, f"being trained by {known.trained_by}")
    if known.unsure:
        return decision(Action.BLOCKED, known.unsure)
    if known.problem:
        return decision(Action.RESUME, f"record recovered from the checkpoint, since {known.problem}")
    if record is None:
        if not (known.job_state or known.failure):
            return decision(Action.SUBMIT, "not begun")
        how = f" ({known.job_state.lower()})" if known.job_state else ""
        words = f": {known.failure}" if known.failure else ""
        return decision(Action.SUBMIT, f"job {known.job} ended{how} before it began{words}")
    if state is State.DIVERGED:
        return decision(
            Action.BLOCKED,
            f"diverged: {record.error}; it would diverge again: change the recipe with --set, or remove its folder",
        )
    done = f"after {record.epoch} of {record.epochs or spec.recipe.total_epochs} epochs"
    done += f" in {record.precision}" if record.precision else ""
    return decision(Action.RESUME, f"{state} {done}" + (f": {known.error}" if known.error else ""))


def _behind(decision: Decision, parent: Decision) -> Decision:
    """A decision to train, given that on the run that it starts from."""
    if parent.completed:
        return decision
    first = parent.spec.run_id
    if parent.action is Action.BLOCKED:
        reason = f"starts from {first}, which is blocked: {parent.reason}"
    elif parent.action is Action.SKIP and not parent.job:
        reason = f"starts from {first}, which is {parent.reason}; wait for it"
    else:
        return replace(decision, reason=f"{decision.reason}, after {first}", after=first)
    return replace(decision, action=Action.BLOCKED, reason=reason)


def _is_lost(parent: RunState) -> bool:
    """Whether a job that waits for this run waits in vain."""
    return not parent.unsure and parent.state not in (State.COMPLETED, State.RUNNING, State.QUEUED)
