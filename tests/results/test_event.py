"""Events of a run's history, and their JSON."""

import dataclasses
import json

import pytest

from bench.results.event import Event, event_of
from tests.conftest import ROOT

RUNNING = Event(what="running", when="2026-01-01", epoch=0, step=3, steps=8, compile=None, world_size=2)


def test_an_event_is_the_same_after_json_and_has_no_empty_field_in_it():
    values = json.loads(json.dumps(RUNNING.plain()))
    assert values == {"what": "running", "when": "2026-01-01", "epoch": 0, "step": 3, "steps": 8, "world_size": 2}
    assert event_of(values) == RUNNING
    refused = dataclasses.replace(RUNNING, refused=True, note="no data")
    assert event_of(refused.plain()) == refused


def test_keys_of_other_versions_are_ignored_and_wrong_types_are_not():
    assert event_of(RUNNING.plain() | {"moon": "full"}) == RUNNING
    for change in ({"epoch": "first"}, {"steps": 0}, {"pid": -1}, {"note": 3}, {"when": None}):
        with pytest.raises(ValueError, match=next(iter(change))):
            event_of(RUNNING.plain() | change)


def test_histories_of_the_committed_runs_are_events():
    found = [json.loads(path.read_text())["history"] for path in (ROOT / "reports/evidence").glob("*/record.json")]
    assert len(found) > 3
    for history in found:
        for values in history:
            values.pop("token", None)  # of a lock that older versions took
            event = event_of(values)
            assert {name: getattr(event, name) for name in values} == values
