"""Damaged run folders and files of weights end in a clear state, and nothing that was sound is lost."""

import random
import re
import shutil
import signal

import pytest
import safetensors.torch
import timm
import torch

import bench.results.run_folder
import models  # noqa: F401
from bench.cli.commands.curves import _load
from bench.cli.commands.status import run_ids, spec_of, status, table
from bench.experiments.suites import Entry, Suite
from bench.launch import job
from bench.launch.job import _begin
from bench.launch.planner import Action, plan
from bench.launch.run_state import State, run_state
from bench.launch.slurm.queue import Queue
from bench.report.inputs import SuiteInputs
from bench.report.pages.runs import suite_markdown
from bench.results.predictions import load_predictions
from bench.results.run_folder import NoSoundCheckpoint, RunRecords, checkpoints, load_metrics, own
from bench.spec.errors import RequestError
from bench.training.signals import Stop
from models.checkpoint_files import CheckpointError
from models.checkpoints import load_into, read_checkpoint
from tests.generated.damage import clutter, cut, damage, flipped, spliced
from tests.training.test_trainer import resources, spec

pytestmark = pytest.mark.extended

RUN = spec("epochs=2")
CHUNK = 10
"""cases in a test"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of runs with one that is completed."""
    runs = tmp_path_factory.mktemp("trained")
    folder = job.prepare(runs, RUN)
    job.run(folder, resources(), Stop())
    return runs


@pytest.fixture
def late():
    """Ends a test that waits for what never comes."""

    def stop(*_):
        raise TimeoutError("it waits")

    old = signal.signal(signal.SIGALRM, stop)
    yield signal.alarm
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def assert_clear(line):
    """One line that a person can read."""
    assert line == line.strip()
    assert "\n" not in line, line
    assert len(line) < 2000, len(line)
    assert "Traceback" not in line


def looked_at(runs):
    """All that shows a run, without writing anything; returns its state."""
    found = run_state(runs, RUN.run_id, Queue({}, {}))
    assert isinstance(found.state, State)
    assert_clear(found.told[1])
    line = status(runs, RUN.run_id, Queue({}, {}), spec_of(runs, RUN.run_id))
    assert not re.search("[\x00-\x1f\x7f\u202e]", table([line]).replace("\n", "")), table([line])
    (decision,) = plan([RUN], lambda wanted: run_state(runs, wanted.run_id, Queue({}, {})))
    assert isinstance(decision.action, Action)
    assert_clear(decision.reason)
    records = RunRecords(runs)
    known = records.of(RUN)
    for problem in records.problems:
        assert_clear(problem)
    curves, damaged = _load(runs, run_ids(runs))
    assert len(curves) + len(damaged) <= 1
    entry = Entry(row="row", spec=RUN)
    suite = Suite(name="smoke", about="About.", entries=(entry,))
    page = suite_markdown(SuiteInputs(suite=suite, records={RUN.run_id: known}, corrupt=records.corrupt))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", page)
    for record in known:
        for load in (lambda one: load_metrics(runs / RUN.run_id, one), lambda one: load_predictions(runs, one)):
            try:
                load(record)
            except ValueError as error:
                assert_clear(str(error))
    return found


def damaged_run(seed, trained, place):
    """One case."""
    chance, runs, elsewhere = random.Random(seed), place / "runs", place / "elsewhere"
    elsewhere.write_bytes(b"precious")
    shutil.copytree(trained, runs)
    folder = runs / RUN.run_id
    files = sorted(path for path in runs.rglob("*") if path.is_file())
    hit = chance.sample(files, chance.choice((1, 1, 2, 4)))
    for path in hit:
        damage(path, chance, elsewhere)
    foreign = [*clutter(folder, chance), *clutter(runs, chance)]
    before = contents(runs)
    found = looked_at(runs)
    assert contents(runs) == before
    whole = {path for path in checkpoints(folder) if not {path, path.with_suffix(".pt.sha256")} & set(hit)}
    if not {path for path in hit if path.name != "owner.json" and path.parent == folder}:
        assert found.state is State.COMPLETED
    try:
        with own(folder) as owned:
            try:
                newest, problems = owned.newest_sound_checkpoint()
                for problem in problems:
                    assert_clear(problem)
                if newest:
                    assert newest.read_bytes() == (trained / newest.relative_to(runs)).read_bytes()
                if whole:
                    assert newest >= max(whole)
            except NoSoundCheckpoint as error:
                assert not whole
                assert_clear(str(error))
            assert _begin(owned, RUN, None, "", None).status == "running"
    except (RequestError, OSError) as error:
        assert_clear(str(error))
    after = contents(runs)
    kept = {path: content for path, content in before.items() if path in {*whole, *foreign}}
    assert {path: after[path] for path in kept} == kept
    assert elsewhere.read_bytes() == b"precious"
    shutil.rmtree(runs)


@pytest.mark.parametrize("chunk", range(35))
def test_a_damaged_run_is_in_a_clear_state_and_loses_nothing(chunk, trained, tmp_path, late, monkeypatch):
    monkeypatch.setattr(bench.results.run_folder, "SETTLE_S", 0)  # nobody else claims it
    for case in range(CHUNK):
        late(60)
        damaged_run(f"{chunk}-{case}", trained, tmp_path)
        late(0)


def kinds(folder):
    """Files of weights in each format that is read."""
    torch.manual_seed(1)
    net = timm.create_model("t2t_vit_7", embed_dim=32, depth=1, num_heads=2, img_size=32, num_classes=3)
    weights = net.state_dict()
    torch.save({"state_dict": weights, "epoch": 3}, folder / "today.pth")
    torch.save(weights, folder / "old.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(weights, folder / "file.safetensors")
    return net, sorted(folder.iterdir())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return kinds(tmp_path_factory.mktemp("weights"))


def damaged_weights(seed, weights, place):
    """One case."""
    (net, files), chance = weights, random.Random(seed)
    whole = chance.choice(files)
    path = place / f"damaged{whole.suffix}"
    path.write_bytes(chance.choice((cut, flipped, spliced))(whole.read_bytes(), chance))
    try:
        checkpoint = read_checkpoint(path)
        load_into(net, checkpoint)
    except (CheckpointError, OSError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("chunk", range(15))
def test_a_damaged_file_of_weights_is_refused_or_holds_weights(chunk, weights, tmp_path, late):
    for case in range(CHUNK):
        late(60)
        line = damaged_weights(f"{chunk}-{case}", weights, tmp_path)
        late(0)
        assert_clear(line)
        assert not line or "damaged." in line
