"""What a run has used, from the history of its record."""

import pytest

from bench.results.record import RunRecord
from bench.results.usage import usage


def record(*history):
    return RunRecord(run_id="", spec={}, status="running", history=list(history), git={}, versions={})


def event(what, minute, **more):
    return {"what": what, "when": f"2026-01-01T10:{minute:02}:00+00:00", **more}


def test_attempts_add_up_to_their_last_sign_of_life():
    found = usage(
        record(
            event("running", 0, gpus=4, waited_s=60.0, estimated_gpu_hours=2.5),
            event("killed", 50, until="2026-01-01T10:15:00+00:00", lost_s=30.0),
            event("running", 50, gpus=2, waited_s=15.0, estimated_gpu_hours=1.0),
            event("completed", 56),
        )
    )
    assert found.gpu_hours == pytest.approx(4 * 15 / 60 + 2 * 6 / 60)
    assert found.queue_wait_s == 75
    assert (found.estimated_gpu_hours, found.restarts, found.lost_s) == (2.5, 1, 30)


def test_without_a_queue_the_processes_on_gpus_count():
    found = usage(record(event("running", 0, device="a GPU", world_size=8), event("completed", 30)))
    assert (found.gpu_hours, found.queue_wait_s, found.estimated_gpu_hours) == (4.0, None, None)
    on_cpu = usage(record(event("running", 0, device="cpu", world_size=2), event("interrupted", 30)))
    assert on_cpu.gpu_hours == 0


def test_an_attempt_that_has_not_ended_has_used_nothing_that_is_known():
    assert usage(record(event("running", 0, gpus=4))).gpu_hours == 0
    assert usage(record()).restarts == 0
