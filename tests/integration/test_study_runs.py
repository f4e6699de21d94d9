"""A study from the grid to its page, really trained, killed on the way, and every verdict computed once more."""

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.experiments.scales import STUDIES
from tests.conftest import ROOT

SMOKE = STUDIES["smoke"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def arguments(folder):
    common = ["--runs", folder / "runs", "--reports", folder / "reports", "--scale", "smoke"]
    return [str(each) for each in ("study", *common, "--run", "local", "--max-parallel", 2)]


@pytest.fixture(scope="module")
def killed(folder):
    """The command and its trainings killed while the first final runs train; ids of the runs that had begun."""
    command = [sys.executable, str(ROOT / "run_all.py"), *arguments(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 600
        while not (final := [path.parent for path in folder.glob("runs/*study_smoke-s0-*/owner.json")]):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while trainings := processes_in(folder):  # which have sessions of their own
            for pid in trainings:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    return final


def processes_in(folder):
    """Pids of processes with the folder on their command line; of those that are dead nothing is left there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def finished(folder, killed, run_all):
    """The same command again."""
    done = run_all(*arguments(folder), timeout=900)
    assert done.returncode == 0, done.stderr
    return done


def records(folder):
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("runs/*/record.json"))}


def test_a_killed_study_goes_on_where_it_was(folder, killed, finished):
    found = records(folder)
    assert {record["status"] for record in found.values()} == {"completed"}
    grid = [record for run_id, record in found.items() if "study_smoke_grid" in run_id]
    final = [record for run_id, record in found.items() if "study_smoke-" in run_id]
    assert [len(grid), len(final)] == [3, 4]  # the best of two learning rates is at an edge
    attempts = {run_id: [e["what"] for e in record["history"]].count("running") for run_id, record in found.items()}
    assert all(attempts[record["run_id"]] == 1 for record in grid)  # nothing is trained twice
    assert set(attempts.values()) <= {1, 2}


def test_the_grid_chose_for_all_by_held_out_images(folder, finished):
    found = records(folder)
    grid = [record for run_id, record in found.items() if "study_smoke_grid" in run_id]
    best = max(grid, key=lambda record: record["results"]["held_out_raw_last_top1_pct"])
    final = [record["spec"]["recipe"] for run_id, record in found.items() if "study_smoke-" in run_id]
    assert {recipe["lr"] for recipe in final} == {best["spec"]["recipe"]["lr"]}


def test_the_page_shows_what_was_trained(folder, finished):
    page = (folder / "reports" / "study_smoke.md").read_text()
    assert "All 4 runs of the core arms are complete, and 1 of 1 grids." in page
    for suffix in ("", "_curves", "_speed"):
        assert f"(study_smoke{suffix}.png)" in page
        assert (folder / "reports" / f"study_smoke{suffix}.png").stat().st_size > 1000
    lines = rows(folder, "study_smoke.csv")
    assert [line["arm"] for line in lines] == ["tiny_t2t", "tiny_patches"]
    assert [line["seeds"] for line in lines] == ["2", "2"]
    evidence = folder / "reports" / "evidence"
    for run_id in records(folder):
        for name in ("spec.json", "record.json", "metrics.jsonl"):
            assert (evidence / run_id / name).read_bytes() == (folder / "runs" / run_id / name).read_bytes()
        assert f"evidence/{run_id}/record.json" in page


def test_evidence_alone_gives_the_same_page(folder, finished, run_all, tmp_path):
    done = run_all(
        "study", "--scale", "smoke", "--runs", folder / "reports" / "evidence", "--reports", tmp_path, timeout=200
    )
    assert done.returncode == 0, done.stderr
    for name in ("study_smoke.md", "study_smoke.csv", "study_smoke_contests.csv"):
        assert (tmp_path / name).read_text() == (folder / "reports" / name).read_text()


def rows(folder, name):
    return list(csv.DictReader(io.StringIO((folder / "reports" / name).read_text())))


def kept_hits(folder, run_id):
    """Whether each test image was right, from the files alone."""
    predictions = np.load(folder / "reports" / "evidence" / run_id / "predictions.npz")
    sha256 = str(predictions["images_sha256"])
    (images,) = [
        loaded
        for path in (folder / "reports" / "evidence" / "images").glob("*.npz")
        if str((loaded := np.load(path))["images_sha256"]) == sha256
    ]
    return (predictions["raw"].astype(int) == images["labels"].astype(int)).astype(float)


def test_every_verdict_follows_from_the_kept_predictions(folder, finished):
    """By sums of squares of a two-way table, image by seed, instead of the code's way."""
    arms = {line["arm"]: line for line in rows(folder, "study_smoke.csv")}
    (line,) = (line for line in rows(folder, "study_smoke_contests.csv") if line["of"] == "top1_pct")
    hits = {
        key: 100 * np.array([kept_hits(folder, run_id) for run_id in arm["run_ids"].split()])
        for key, arm in arms.items()
    }
    assert all(float(arms[key]["top1_pct"]) == pytest.approx(each.mean()) for key, each in hits.items())
    first, second = hits[line["arm"]], hits[line["against"]]
    seeds, n = first.shape
    difference = first.mean() - second.mean()
    variances = [each.mean(axis=1).var(ddof=1) for each in (first, second)]
    p = stats.bartlett(*(each.mean(axis=1) for each in (first, second))).pvalue
    of_seeds = sum(variances) / seeds
    interaction = [
        sum(
            (each[s, i] - each[:, i].mean() - each[s].mean() + each.mean()) ** 2 for s in range(seeds) for i in range(n)
        )
        / ((seeds - 1) * (n - 1))
        for each in (first, second)
    ]
    paired = first.mean(axis=0) - second.mean(axis=0)
    of_images = max(0.0, (paired.var(ddof=1) - sum(interaction) / seeds) / n)
    if p >= 0.1:
        df = (of_seeds + of_images) ** 2 / (of_seeds**2 / 2 + of_images**2 / (n - 1))
    else:
        parts = [(v / seeds) ** 2 for v in variances]
        df = (of_seeds + of_images) ** 2 / (sum(parts) + of_images**2 / (n - 1))
    se = (of_seeds + of_images) ** 0.5
    half = stats.t.ppf(0.975, df) * se
    expected = {"difference_pct": difference, "difference_std_err": se, "df": df}
    expected |= {"low_pct": difference - half, "high_pct": difference + half, "homogeneity_p": p}
    for column, value in expected.items():
        assert float(line[column]) == pytest.approx(value, rel=1e-6), column
    verdict = "agrees" if difference - half >= 0 else "disagrees" if difference + half <= 0 else "cannot tell"
    assert (line["verdict"], line["claim_verdict"]) == (verdict, verdict)
    only = int(((first[0] > 0) & (second[0] == 0)).sum()), int(((first[0] == 0) & (second[0] > 0)).sum())
    assert float(line["mcnemar_p_first_seed"]) == pytest.approx(stats.binomtest(only[0], sum(only)).pvalue)


def kept_counts(folder, run_id):
    return json.loads((folder / "reports" / "evidence" / "dead_channels" / f"{run_id}.json").read_text())


def test_dead_channels_are_counted_of_every_final_run(folder, finished):
    arms = {line["arm"]: line for line in rows(folder, "study_smoke.csv")}
    for arm in arms.values():
        of_seeds = [kept_counts(folder, run_id) for run_id in arm["run_ids"].split()]
        channels = [sum(layer["channels"] for layer in each["layers"]) for each in of_seeds]
        dead = [np.sum([layer["dead"] for layer in each["layers"]], axis=0) for each in of_seeds]
        assert arm["dead_channels_in"].split() == [
            f"evidence/dead_channels/{run_id}.json" for run_id in arm["run_ids"].split()
        ]
        assert {len(each["images"]) for each in of_seeds} == {256}
        shares = [100 * d / c for d, c in zip(dead, channels, strict=True)]
        assert float(arm["dead_pct"]) == pytest.approx(np.mean(shares))


def test_features_of_the_first_seed_are_drawn_with_their_evidence(folder, finished):
    page = (folder / "reports" / "study_smoke.md").read_text()
    section = page.partition("## Features")[2].partition("\n## ")[0]
    files = re.findall(r"\]\((evidence/feature_maps/[^)]+)\)", section)
    kept = [json.loads((folder / "reports" / file).read_text())["source"] for file in files]
    first = [line["run_ids"].split()[0] for line in rows(folder, "study_smoke.csv")]
    assert [source["run_id"] for source in kept] == first
    for run_id, source in zip(first, kept, strict=True):
        (checkpoint,) = (folder / "runs" / run_id / "checkpoints").glob(source["weights"]["file"])
        assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() == source["weights"]["sha256"]
    assert "(study_smoke_features.png)" in section
    assert (folder / "reports" / "study_smoke_features.png").read_bytes().startswith(b"\x89PNG")


def test_channels_that_cannot_be_counted_are_said_and_nothing_else_is_lost(folder, finished, run_all, tmp_path):
    evidence = tmp_path / "evidence"
    shutil.copytree(folder / "reports" / "evidence", evidence)
    removed = next((evidence / "dead_channels").glob("*-s1-*.json"))
    removed.unlink()
    done = run_all("study", "--scale", "smoke", "--runs", evidence, "--reports", tmp_path / "reports", timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == (
        f"run_all.py: {removed.stem}: dead channels are not counted: its last checkpoint cannot be used: it is gone"
    )
    lines = list(csv.DictReader(io.StringIO((tmp_path / "reports" / "study_smoke_contests.csv").read_text())))
    assert [line["verdict"] for line in lines if line["of"] == "dead_pct"] == ["-"]
