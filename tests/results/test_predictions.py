"""What was said of every image: kept whole, in one order, and as the record counts it."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from bench.launch import job
from bench.launch.run_state import run_state
from bench.launch.slurm.queue import Queue
from bench.report import evidence_files
from bench.results.codec import sealed
from bench.results.predictions import UNREAD, Predictions, load_predictions, packed, save_images
from bench.results.run_folder import RunRecords, checkpoints, load_record
from bench.spec.run import Resources
from bench.training.signals import Stop
from tests.training import test_identity
from tests.training.test_identity import folders


def spec(*settings):
    return test_identity.spec(test_identity.FOLDER, "ema_decay=0.5", *settings)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on class folders in which an image does not load; returns the folder of runs and the run's."""
    base = tmp_path_factory.mktemp("trained")
    folders(base / "data", count=6)
    (base / "data" / "val" / "y" / "2.png").write_bytes(b"junk")
    folder = job.prepare(base / "runs", spec())
    job.run(folder, Resources(data=str(base / "data")), Stop())
    return base / "runs", folder


def assert_counted_the_same(runs, record):
    said = load_predictions(runs, record)
    for kind in ("raw", "ema"):
        assert said.top1_pct(kind) == pytest.approx(record.results[f"{kind}_last_top1_pct"], abs=1e-9)
    return said


def test_a_run_keeps_the_class_of_each_image_by_its_path(trained):
    runs, folder = trained
    said = assert_counted_the_same(runs, load_record(folder))
    assert said.predicted.keys() == {"raw", "ema"}
    assert said.ids == tuple(f"{name}/{i}.png" for name in "xy" for i in range(6))
    assert said.labels.tolist() == [0] * 6 + [1] * 6
    for classes in said.predicted.values():
        assert np.flatnonzero(classes == UNREAD).tolist() == [8]
        assert set(classes.tolist()) <= {UNREAD, 0, 1}


def test_a_run_that_was_killed_between_its_last_checkpoint_and_its_record_keeps_the_same(trained, tmp_path):
    runs, folder = trained
    copy = shutil.copytree(folder, tmp_path / folder.name)
    values = json.loads((folder / "record.json").read_text())
    values |= {"status": "running", "predictions_sha256": "", "results": {}}
    del values["checksum"]
    (copy / "record.json").write_text(sealed(values))
    (copy / "predictions.npz").unlink()
    job.run(copy, Resources(data=str(runs.parent / "data")), Stop())
    assert load_record(copy).predictions_sha256 == load_record(folder).predictions_sha256
    assert_counted_the_same(tmp_path, load_record(copy))


def test_a_completed_run_whose_record_was_edited_gets_a_new_one_from_its_checkpoint(trained, tmp_path):
    runs, folder = trained
    whole = load_record(folder)
    copy = shutil.copytree(folder, tmp_path / folder.name)
    path = copy / "record.json"
    top1 = f'"raw_best_top1_pct": {whole.results["raw_best_top1_pct"]}'
    path.write_text(path.read_text().replace(top1, '"raw_best_top1_pct": 99.5'))
    found = run_state(tmp_path, folder.name, Queue({}, {}))
    assert found.problem.startswith(f"{path}: its checksum does not hold: it was edited; ")
    assert (found.record, found.is_recoverable) == (None, True)
    job.run(copy, Resources(data=str(runs.parent / "data")), Stop())
    again = load_record(copy)
    assert (again.status, again.results, again.predictions_sha256) == (
        "completed",
        whole.results,
        whole.predictions_sha256,
    )
    assert "edited record" in [event["what"] for event in again.history]
    assert_counted_the_same(tmp_path, again)
    path.write_text("{")
    assert not run_state(tmp_path, folder.name, Queue({}, {})).is_recoverable


def test_a_recipe_that_holds_images_out_keeps_what_was_said_of_the_others(trained, tmp_path):
    runs, _ = trained
    folder = job.prepare(tmp_path, spec("held_out=0.5"))
    job.run(folder, Resources(data=str(runs.parent / "data")), Stop())
    assert len(assert_counted_the_same(tmp_path, load_record(folder)).ids) == 12


def test_a_byte_an_image_and_two_beyond_256_classes():
    chance = np.random.default_rng(0)
    sizes = []
    for classes in (256, 257):
        predicted = chance.integers(0, classes, 50_000)
        predicted[[0, 7]] = classes - 1, UNREAD
        sizes.append(len(packed("1" * 64, {"raw": predicted})))
    assert sizes[0] < 51_000
    assert sizes[1] < 101_000


@pytest.mark.parametrize("classes", [2, 256, 257, 1000])
def test_what_is_packed_is_read_again(tmp_path, trained, classes):
    _, folder = trained
    predicted = np.array([classes - 1, UNREAD, 0, 1])
    content = packed("f" * 64, {"raw": predicted})
    save_images(tmp_path, "f" * 64, ["a b", "ü", "x\ny", "\udcff"], [0, 0, classes - 1, 1])
    run = job.prepare(tmp_path, spec())
    (run / "predictions.npz").write_bytes(content)
    record = dataclasses.replace(load_record(folder), predictions_sha256=hashlib.sha256(content).hexdigest())
    said = load_predictions(tmp_path, record)
    assert said.predicted["raw"].tolist() == predicted.tolist()
    assert said.ids == ("a b", "ü", "x\ny", "\udcff")
    assert said.is_hit("raw").tolist() == [False, False, False, True]
    assert said.top1_pct("raw") == pytest.approx(100 / 3)


def test_damage_is_one_line_that_names_the_file(trained, tmp_path):
    runs, folder = trained
    record = load_record(folder)
    copy = shutil.copytree(runs, tmp_path / "runs")
    predictions, (images,) = copy / folder.name / "predictions.npz", (copy / "images").iterdir()

    def problem(path, content, record=record):
        whole = path.read_bytes()
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"^{path}: ") as found:
            load_predictions(copy, record)
        path.write_bytes(whole)
        assert "\n" not in str(found.value)
        return str(found.value)

    assert "No such file" in problem(predictions, None)
    for content in (b"", predictions.read_bytes()[:-9], b"\0" + predictions.read_bytes()[1:]):
        assert "its checksum does not hold" in problem(predictions, content)
    assert "No such file" in problem(images, None)
    flipped = bytearray(images.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    for content in (b"", images.read_bytes()[:-9], bytes(flipped)):
        problem(images, content)
    save_images(tmp_path / "other", record.fingerprint.val_sha256, ["a"] * 12, [1] * 11 + [0])
    (other,) = (tmp_path / "other" / "images").iterdir()
    edited = dict(np.load(other)) | {"checksum": np.load(images)["checksum"]}
    np.savez(tmp_path / "edited.npz", **edited)
    assert "its checksum does not hold" in problem(images, (tmp_path / "edited.npz").read_bytes())
    assert load_predictions(copy, record) is not None


def test_the_evidence_holds_it_and_older_evidence_nothing(trained, tmp_path):
    runs, folder = trained
    record = load_record(folder)
    evidence_files.keep(runs, tmp_path, evidence_files.of_runs([[record]]))
    kept = load_predictions(tmp_path / "evidence", RunRecords(tmp_path / "evidence").get(folder.name))
    kept.require_same_images(load_predictions(runs, record))
    older = dataclasses.replace(record, predictions_sha256="", fingerprint=None)
    assert load_predictions(runs, older) is None
    assert [path.name for path in evidence_files.of_runs([[older]])] == ["spec.json", "record.json", "metrics.jsonl"]


def test_only_what_was_said_of_the_same_images_is_compared():
    one = Predictions(images_sha256="1", ids=("a", "b"), labels=np.zeros(2, int), predicted={})
    one.require_same_images(dataclasses.replace(one, predicted={"raw": np.zeros(2, int)}))
    for change in ({"images_sha256": "2"}, {"ids": ("b", "a")}):
        with pytest.raises(ValueError, match=r"on other images .* cannot be compared image by image"):
            one.require_same_images(dataclasses.replace(one, **change))


def test_a_checkpoint_of_before_predictions_still_resumes(trained, tmp_path):
    runs, folder = trained
    copy = shutil.copytree(folder, tmp_path / folder.name)
    path = checkpoints(copy)[0]
    saved = torch.load(path, weights_only=True)
    del saved["predicted"]
    torch.save(saved, path)
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".pt.sha256").write_text(f"{sha}  {path.name}\n")
    job.run(copy, Resources(data=str(runs.parent / "data")), Stop())
    assert load_record(copy).status == "completed"
