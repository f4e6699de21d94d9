"""What was handed to Slurm, as its files remember it."""

import dataclasses
import json

import pytest

from bench.launch.slurm import submissions
from bench.launch.slurm.submissions import begin, load_all, save
from bench.spec.errors import RequestError


def test_submissions_come_back_oldest_first(tmp_path):
    made = [begin("here", ("a", "b"), {"partition": "gpu", "nodes": 2}, {"workers": None}) for _ in range(3)]
    for submission in reversed(made):
        save(tmp_path, submission)
    assert load_all(tmp_path) == made


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"runs": "a"}, "runs = 'a': expected array, got str"),
        ({"job": 12}, "job = 12: expected str, got int"),
        ({"created": "yesterday"}, "Invalid isoformat string: 'yesterday'"),
        ({"younger": 1}, "unknown key younger"),
    ],
)
def test_a_corrupt_submission_refuses_the_command_in_one_line(tmp_path, change, problem):
    submission = begin("here", ("a",), {}, {})
    save(tmp_path, submission)
    path = tmp_path / "jobs" / submission.name / "submission.json"
    path.write_text(json.dumps(dataclasses.asdict(submission) | change))
    with pytest.raises(RequestError) as caught:
        load_all(tmp_path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert str(caught.value).endswith(f"; {submissions.REMEDY}")


def test_folders_of_a_runs_older_submissions_are_removed(tmp_path):
    made = [begin("here", runs, {}, {}) for runs in [("a", "b"), *[("a",)] * (submissions.KEPT + 2)]]
    for submission in made:
        save(tmp_path, submission)
    submissions.tidy(tmp_path)
    assert load_all(tmp_path) == [made[0], *made[-submissions.KEPT :]]  # the first is still b's newest
    assert len(list((tmp_path / "jobs").iterdir())) == 1 + submissions.KEPT
