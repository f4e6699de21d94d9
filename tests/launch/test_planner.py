"""The planner, which is pure: what is known in, one decision a run out."""

import dataclasses

import pytest

from bench.experiments.budgets import SUITES
from bench.launch.planner import Action, plan
from bench.launch.run_state import RunState
from bench.results.record import RunRecord

PARENT, CHILD, OTHER = SUITES["smoke"].values()


def record(status, epoch=2, **values):
    return RunRecord(
        run_id="", spec={}, status=status, history=[], git={}, versions={}, epoch=epoch, epochs=4, **values
    )


def decide(spec, **known):
    (decision,) = plan([spec], lambda _: RunState(**known))
    return decision


@pytest.mark.parametrize(
    ("known", "action", "reason"),
    [
        ({}, Action.SUBMIT, "not begun"),
        ({"record": record("completed")}, Action.SKIP, "completed"),
        ({"record": record("interrupted")}, Action.RESUME, "interrupted after 2 of 4 epochs"),
        ({"record": record("running")}, Action.RESUME, "killed after 2 of 4 epochs"),
        ({"record": record("running", precision="float16")}, Action.RESUME, "killed after 2 of 4 epochs in float16"),
        ({"record": record("failed", error="no data")}, Action.RESUME, "failed after 2 of 4 epochs: no data"),
        (
            {"record": record("diverged", error="loss is nan")},
            Action.BLOCKED,
            "diverged: loss is nan; it would diverge again",
        ),
        ({"problem": "record.json: edited; restore it"}, Action.BLOCKED, "record.json: edited; restore it"),
        (
            {"problem": "record.json: edited", "is_recoverable": True},
            Action.RESUME,
            "record recovered from the checkpoint, since record.json: edited",
        ),
        (
            {"problem": "record.json: edited", "is_recoverable": True, "trained_by": "pid 7 on n1"},
            Action.SKIP,
            "being trained by pid 7 on n1",
        ),
        (
            {"job": "12_3", "job_state": "PENDING", "job_reason": "Priority", "job_alive": True},
            Action.SKIP,
            "pending as job 12_3 (Priority)",
        ),
        (
            {"record": record("interrupted"), "job": "12", "job_state": "REQUEUED", "job_alive": True},
            Action.SKIP,
            "requeued as job 12",
        ),
        ({"record": record("running"), "trained_by": "pid 7 on n1"}, Action.SKIP, "being trained by pid 7 on n1"),
        (
            {"record": record("running"), "job": "12", "job_state": "NODE_FAIL"},
            Action.RESUME,
            "killed after 2 of 4 epochs",
        ),
        ({"job": "12", "job_state": "FAILED"}, Action.SUBMIT, "job 12 ended (failed) before it began"),
        ({"unsure": "job 12 of cluster b may still have it"}, Action.BLOCKED, "job 12 of cluster b may"),
        ({"record": record("completed"), "unsure": "whatever"}, Action.SKIP, "completed"),
        (
            {"record": record("interrupted"), "job": "9", "job_state": "COMPLETING", "job_alive": True},
            Action.BLOCKED,
            "job 9 is ending; run the command again in a minute",
        ),
    ],
)
def test_one_run(known, action, reason):
    decision = decide(OTHER, **known)
    assert decision.action is action
    assert decision.reason.startswith(reason)


def test_a_run_that_is_asked_for_twice_is_decided_on_once():
    assert [d.spec for d in plan([OTHER, PARENT, OTHER], lambda _: RunState())] == [OTHER, PARENT]


def test_a_parent_comes_before_its_child_and_says_for_whom():
    first, second = plan([CHILD, PARENT], lambda _: RunState())
    assert (first.spec, second.spec) == (PARENT, CHILD)
    assert first.reason == f"not begun, for {CHILD.run_id}"
    assert second.reason == f"not begun, after {PARENT.run_id}"


@pytest.mark.parametrize(
    ("parent", "action", "reason"),
    [
        ({"record": record("completed")}, Action.SUBMIT, "not begun"),
        ({"job": "7", "job_state": "RUNNING", "job_alive": True}, Action.SUBMIT, f"not begun, after {PARENT.run_id}"),
        (
            {"record": record("diverged", error="loss is inf")},
            Action.BLOCKED,
            f"starts from {PARENT.run_id}, which is blocked: diverged: loss is inf",
        ),
        (
            {"record": record("running"), "trained_by": "pid 7 on here"},
            Action.BLOCKED,
            f"starts from {PARENT.run_id}, which is being trained by pid 7 on here; wait for it",
        ),
    ],
)
def test_a_child_follows_its_parent(parent, action, reason):
    known = {PARENT.run_id: RunState(**parent), CHILD.run_id: RunState()}
    decision = plan([CHILD], lambda spec: known[spec.run_id])[-1]
    assert decision.action is action
    assert decision.reason.startswith(reason)


@pytest.mark.parametrize(
    "child",
    [
        {"record": record("completed")},
        {"record": record("interrupted"), "has_checkpoint": True},
        {"job": "8", "job_state": "RUNNING", "job_alive": True},
        {"record": record("diverged", error="loss is nan")},
    ],
)
def test_a_child_that_needs_its_parent_no_more_brings_no_parent(child):
    known = {PARENT.run_id: RunState(), CHILD.run_id: RunState(**child)}
    (decision,) = plan([CHILD], lambda spec: known[spec.run_id])
    assert decision.spec == CHILD
    assert decision.after == ""


def test_a_child_that_waits_for_a_job_that_ended_is_blocked():
    """Slurm will cancel it, sooner or later; a parent submitted anew is not what it waits for."""
    queued = {"job": "8", "job_state": "PENDING", "job_alive": True}
    for parent in (RunState(), RunState(job="7", job_state="CANCELLED"), RunState(record=record("failed", error="x"))):
        (decision,) = plan([CHILD], lambda spec, parent=parent: parent if spec == PARENT else RunState(**queued))
        assert decision.action is Action.BLOCKED
        assert decision.reason.startswith(f"job 8 waits for {PARENT.run_id}, whose job has ended; cancel it with")
    for parent in (RunState(job="7", job_state="RUNNING", job_alive=True), RunState(record=record("completed"))):
        (decision,) = plan([CHILD], lambda spec, parent=parent: parent if spec == PARENT else RunState(**queued))
        assert decision.action is Action.SKIP
    (decision,) = plan([CHILD], lambda spec: RunState() if spec == PARENT else RunState(**queued, has_checkpoint=True))
    assert decision.action is Action.SKIP


def test_a_chain_of_three():
    grandchild = dataclasses.replace(CHILD, start_from=CHILD, seed=7)
    decisions = plan([grandchild], lambda _: RunState())
    assert [d.spec for d in decisions] == [PARENT, CHILD, grandchild]
    assert {d.action for d in decisions} == {Action.SUBMIT}
