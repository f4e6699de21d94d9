"""The loop: real processes, really killed, and the same bits at the end."""

import dataclasses
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import torch
from PIL import Image

from bench.experiments.budgets import SMOKE
from bench.experiments.recipes import CIFAR_TRANSFER, override
from bench.launch import job
from bench.results.codec import sealed, unsealed
from bench.results.predictions import UNREAD, load_predictions
from bench.results.run_folder import checkpoints, load_metrics, load_record, own
from bench.results.spec_file import load_spec
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec, transfer
from bench.training.build import automatic_precision
from bench.training.data import Synthetic
from bench.training.signals import Stop
from tests.conftest import ROOT

TINY = (("embed_dim", 32), ("depth", 1), ("num_heads", 2))


def spec(*settings, model="t2t_vit_7", model_args=TINY, **kwargs):
    """Three epochs of eight steps with all the paper's randomness, on generated images."""
    augmented = ["epochs=3", "mixup=0.8", "cutmix=1", "auto_augment=rand-m9-mstd0.5-inc1", "random_erasing=0.25"]
    recipe = override(override(SMOKE, [*augmented, "random_erasing_mode=pixel", "drop_path=0.1"]), settings)
    return RunSpec(
        model=model, model_args=model_args, recipe=recipe, **{"dataset": "synthetic", "img_size": 32} | kwargs
    )


def resources(**kwargs):
    return Resources(**{"data": "nowhere", "save_every_s": 0} | kwargs)


def start(folder, **kwargs):
    """A training process on a run's folder."""
    command = [
        sys.executable,
        "-m",
        "bench.launch.job",
        str(folder),
        json.dumps(dataclasses.asdict(resources(**kwargs))),
    ]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(process, timeout=120):
    _, err = process.communicate(timeout=timeout)
    return process.returncode, err


def result(folder):
    """Metrics and weights, as bytes and tensors."""
    newest = torch.load(checkpoints(folder)[0], weights_only=True)
    return (folder / "metrics.jsonl").read_bytes(), newest


def assert_same(folder, undisturbed):
    metrics, saved = result(folder)
    expected_metrics, expected = result(undisturbed)
    assert metrics == expected_metrics
    for part in ("network", "ema"):
        assert saved[part].keys() == expected[part].keys()
        for name, value in saved[part].items():
            assert torch.equal(value, expected[part][name]), (part, name)
    moments = zip(saved["optimizer"]["state"].values(), expected["optimizer"]["state"].values(), strict=True)
    assert all(torch.equal(a["exp_avg"], b["exp_avg"]) for a, b in moments)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nothing happened to."""
    folder = job.prepare(tmp_path_factory.mktemp("undisturbed"), spec())
    code, err = finish(start(folder))
    assert code == 0, err
    return folder


def wait_for_progress(process, folder, seen, *, while_saving=False):
    """Until there is a checkpoint that was not seen, and then, if so wished, until the next one is being written."""
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if set(checkpoints(folder)) - seen and (not while_saving or any((folder / "checkpoints").glob(".epoch-*.tmp"))):
            return
        time.sleep(0.001)
    assert process.poll() is not None, "no checkpoint in a minute"


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(undisturbed, tmp_path):
    folder = job.prepare(tmp_path, spec())
    chance = random.Random(9)
    for while_saving in (False, True, False):
        seen = set(checkpoints(folder))
        process = start(folder)
        wait_for_progress(process, folder, seen, while_saving=while_saving)
        if not while_saving:
            time.sleep(chance.uniform(0, 0.08))  # into a step, a save, or a validation
        process.kill()
        finish(process)
    assert load_record(folder).status == "running"
    code, err = finish(start(folder))
    assert code == 0, err
    assert_same(folder, undisturbed)
    record = load_record(folder)
    assert record.status == "completed"
    assert [event["what"] for event in record.history].count("killed") == 3
    assert record.history[-1]["attempt"] == 4
    assert len(record.epoch_images_per_s) == 3
    assert all(speed is None or speed > 0 for speed in record.epoch_images_per_s)
    assert load_metrics(folder, record).lines
    begins = [(event["epoch"], event["step"]) for event in record.history if event["what"] == "running"]
    assert begins[0] == (0, 0)
    assert begins == sorted(begins)
    assert begins[-1] > (0, 0)


def test_a_run_that_is_told_to_stop_loses_no_step_and_ends_with_the_same_bits(undisturbed, tmp_path):
    folder = job.prepare(tmp_path, spec())
    where = None
    for number in (signal.SIGTERM, signal.SIGUSR2, None):
        seen = set(checkpoints(folder))
        process = start(folder, save_every_s=0 if where is None else 1000)
        if number:
            wait_for_progress(process, folder, seen)
            process.send_signal(number)
        code, err = finish(process)
        if where:
            assert "resumes at epoch {}, step {}".format(*where) in err
            begins = [event for event in load_record(folder).history if event["what"] == "running"][-1]
            assert (begins["epoch"], begins["step"], begins["steps"]) == (*map(int, where), 8)
        if number:
            assert code == 1
            record = load_record(folder)
            assert record.status == "interrupted"
            where = re.search(rf"{number.name} in epoch (\d+), step (\d+)", record.history[-1]["note"]).groups()
    assert code == 0, err
    assert_same(folder, undisturbed)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run stopped half-way, with two checkpoints."""
    folder = job.prepare(tmp_path_factory.mktemp("interrupted"), spec())
    process = start(folder)
    while len(checkpoints(folder)) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    finish(process)
    return folder


@pytest.fixture
def half_done(interrupted, tmp_path):
    return shutil.copytree(interrupted, tmp_path / interrupted.name)


def test_a_flipped_byte_costs_one_save_and_is_recorded(half_done, undisturbed):
    newest = checkpoints(half_done)[0]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    code, err = finish(start(half_done))
    assert code == 0, err
    assert f"not used: {newest.name}: checksum" in err
    assert_same(half_done, undisturbed)
    assert any(
        event["what"] == "unsound checkpoint" and newest.name in event["note"]
        for event in load_record(half_done).history
    )


def test_no_sound_checkpoint_stops_the_run_rather_than_start_it_anew(half_done):
    for path in checkpoints(half_done):
        path.write_bytes(path.read_bytes()[:-100])
    code, err = finish(start(half_done))
    assert code == 1
    assert "no sound checkpoint" in err
    assert "Traceback" not in err
    record = load_record(half_done)
    assert record.status == "failed"
    assert "no sound checkpoint" in record.error
    assert len(checkpoints(half_done)) == 2


def test_a_second_process_on_a_live_run_is_refused(tmp_path):
    folder = job.prepare(tmp_path, spec("epochs=200"))
    process = start(folder, save_every_s=1000)
    try:
        wait_for_progress(process, folder, set())
        before = load_record(folder)
        code, err = finish(start(folder))
        assert code == 1
        assert f"pid {process.pid} on {socket.gethostname()}" in err.splitlines()[-1]
        assert load_record(folder).history == before.history
    finally:
        process.kill()
        finish(process)


def test_a_fenced_copy_stops_without_writing(tmp_path):
    folder = job.prepare(tmp_path, spec("epochs=200"))
    process = start(folder)
    wait_for_progress(process, folder, set())
    (folder / "lock").unlink()  # locks do not cross machines
    with own(folder):
        time.sleep(0.5)  # a write that had looked at the token before it changed is over by now
        files = {
            path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".pt", ".json", ".jsonl")
        }
        code, err = finish(process)
        assert code == 1
        assert "a newer process owns the run" in err
        assert "Traceback" not in err
        later = {path: path.stat().st_mtime_ns for path in files if path.exists()}
        assert later == files


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    diverging = spec("optimizer=momentum", "lr=1e30", "warmup_epochs=0", "mixup=0", "cutmix=0")
    folder = job.prepare(tmp_path, diverging)
    with pytest.raises(job.RunFailed, match=r"diverged: loss is (nan|inf) in epoch 0, step \d+"):
        job.run(folder, resources(), Stop())
    record = load_record(folder)
    assert record.status == "diverged"
    assert re.search(r"epoch 0, step \d+", record.error)
    with own(folder) as owned:
        path, problems = owned.newest_sound_checkpoint()
    assert problems == []
    assert all(value.isfinite().all() for value in torch.load(path, weights_only=True)["ema"].values())


@pytest.fixture
def small_disk(tmp_path):
    """A file system that holds two checkpoints and not three."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"cannot mount a small file system: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_keeps_the_last_sound_checkpoint(small_disk, undisturbed):
    folder = job.prepare(small_disk, spec())
    code, err = finish(start(folder))
    assert code == 1
    assert "No space left on device" in err
    assert "Traceback" not in err
    record = load_record(folder)
    assert record.status == "failed"
    assert "No space left on device" in record.error
    assert checkpoints(folder)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    code, err = finish(start(folder))
    assert code == 0, err
    assert "resumes at" in err
    assert_same(folder, undisturbed)


# Several processes


def torchrun(folder, processes, **kwargs):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "bench.launch.job", str(folder), json.dumps(dataclasses.asdict(resources(**kwargs)))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)


def test_two_processes_follow_one_and_validate_the_same_images(tmp_path):
    one, two = job.prepare(tmp_path / "one", spec()), job.prepare(tmp_path / "two", spec())
    job.run(one, resources(precision="float32", save_every_s=1000), Stop())
    done = torchrun(two, 2, precision="float32", micro_batch=16, save_every_s=1000)
    assert done.returncode == 0, done.stderr
    alone, both = ([json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()] for f in (one, two))
    assert len(alone) == len(both) == 3
    for a, b in zip(alone, both, strict=True):
        assert a["raw_val_images"] == b["raw_val_images"] == 256
        for name in ("train_loss", "raw_val_loss", "ema_val_loss"):
            assert b[name] == pytest.approx(a[name], rel=1e-4), name
    assert load_record(two).world_size == 2
    said = load_predictions(two.parent, load_record(two))
    assert said.labels.tolist() == Synthetic("val").targets
    for kind, classes in said.predicted.items():
        assert UNREAD not in classes.tolist()
        assert said.top1_pct(kind) == pytest.approx(both[-1][f"{kind}_top1_pct"])
    weights = zip(result(one)[1]["network"].items(), result(two)[1]["network"].values(), strict=True)
    for (name, a), b in weights:
        torch.testing.assert_close(b, a, rtol=1e-2, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.extended
def test_a_signal_stops_all_processes_saved(tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("OMP_NUM_THREADS")  # without which torchrun warns
    folder = job.prepare(tmp_path, spec("epochs=200"))

    def stop_soon():
        while not checkpoints(folder):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_soon).start()
    with pytest.raises(job.RunInterrupted, match="the same command resumes it"), Stop().listening() as stop:
        job.run_processes(folder, resources(save_every_s=1000), 2, stop)
    lines = capfd.readouterr().err.splitlines()
    others = [line for line in lines if not line.startswith((folder.name, "  epoch ", "bench: "))]
    assert not others, "\n".join(others)
    record = load_record(folder)
    assert record.status == "interrupted"
    children = subprocess.run(["pgrep", "-f", folder.name], capture_output=True, text=True)
    assert children.stdout == ""
    with own(folder) as owned:
        assert owned.newest_sound_checkpoint()[1] == []


WITHOUT_GC = """
import gc, runpy
gc.disable()
runpy.run_module("bench.launch.job", run_name="__main__")
"""
"""a job in which the collector, which may come to free what is in cycles, does not"""


@pytest.mark.extended
def test_a_signal_to_the_whole_group_takes_no_loader(undisturbed, tmp_path):
    """As Slurm and timeout send it; the loading processes must outlive the save, and end with the run."""
    folder = job.prepare(tmp_path / "runs", spec())
    (tmp_path / "job.py").write_text(WITHOUT_GC)
    command = [
        sys.executable,
        str(tmp_path / "job.py"),
        str(folder),
        json.dumps(dataclasses.asdict(resources(workers=2))),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_progress(process, folder, set())
    os.killpg(process.pid, signal.SIGTERM)
    code, err = finish(process)
    assert code == 1
    assert "interrupted: SIGTERM" in err
    assert "Traceback" not in err
    code, err = finish(start(folder, workers=1))
    assert code == 0, err
    assert_same(folder, undisturbed)


# What is recorded


def test_the_record_says_what_was_done(undisturbed):
    record = load_record(undisturbed)
    assert record.status == "completed"
    assert record.run_id == undisturbed.name
    assert record.spec == spec().identity()
    assert (record.epoch, record.epochs, record.world_size, record.device) == (3, 3, 1, "cpu")
    assert record.precision == automatic_precision(torch.device("cpu"))
    assert record.data["complete"] is True
    assert record.images_per_s > 0
    assert len(record.epoch_images_per_s) == 3
    assert min(record.epoch_images_per_s) > 0
    assert record.epoch_images_per_s[-1] == record.images_per_s
    assert record.wall_time_s > 0
    assert re.fullmatch(r"[0-9a-f]{40}", record.git["commit"])
    assert (
        record.versions["torch"] == torch.__version__.partition("+")[0] or record.versions["torch"] == torch.__version__
    )
    lines = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    metrics = load_metrics(undisturbed, record)
    assert list(metrics.lines) == lines
    for kind in ("raw", "ema"):
        best = max(lines, key=lambda line: line[f"{kind}_top1_pct"])
        assert record.results[f"{kind}_best_epoch"] == best["epoch"]
        for top in ("top1_pct", "top5_pct"):
            assert record.results[f"{kind}_best_{top}"] == best[f"{kind}_{top}"]
            assert record.results[f"{kind}_last_{top}"] == lines[-1][f"{kind}_{top}"]
    assert record.top1_pct("best") == record.results["ema_best_top1_pct"]


def test_fine_tuning_starts_from_the_averaged_weights_with_a_new_head_and_leaves_the_class_token(undisturbed, tmp_path):
    chance = random.Random(0)
    for split, count in (("train", 16), ("test", 4)):
        for label in ("apple", "bee"):
            folder = tmp_path / "cifar100" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (32, 32), tuple(chance.randbytes(3))).save(folder / f"{i}.png")
    recipe = override(CIFAR_TRANSFER, ["epochs=2", "global_batch=16"])
    at_48_px = dataclasses.replace(transfer(spec(), "cifar100", recipe), img_size=48)
    tuned = job.prepare(undisturbed.parent, at_48_px)
    code, err = finish(start(tuned, data=str(tmp_path)))
    assert code == 0, err
    assert f"starts from the weights of {spec().run_id}" in err
    assert "a new head for 100 classes: head.weight, head.bias" in err
    record = load_record(tuned)
    events = {event["what"]: event.get("note", "") for event in record.history}
    assert events["starts from"].startswith(f"{undisturbed.name}/checkpoints/epoch-")
    assert "head.weight" in events["new head"]
    assert events["resized"] == "positions for 48 px: pos_embed, from those of 2 x 2 tokens"
    assert not record.is_whole  # 32 images are not CIFAR-100
    before, after = result(undisturbed)[1]["ema"], result(tuned)[1]["network"]
    for name in ("cls_token", "norm.weight", "norm.bias"):
        assert torch.equal(before[name], after[name]), name
    assert after["head.weight"].shape == (100, 32)
    change = (after["blocks.0.attn.qkv.weight"] - before["blocks.0.attn.qkv.weight"]).abs().max()
    assert 0 < change < 1e-2  # a hundredth of the head's learning rate


def test_a_cnn_trains_too_and_learns(tmp_path):
    folder = job.prepare(
        tmp_path,
        spec(
            "mixup=0",
            "cutmix=0",
            "auto_augment=",
            "epochs=6",
            "random_erasing=0",
            "drop_path=0",
            model="test_resnet",
            model_args=(),
        ),
    )
    job.run(folder, resources(save_every_s=1000), Stop())
    assert load_record(folder).results["raw_best_top1_pct"] > 40  # of ten classes


def test_weights_that_are_not_finite_after_the_last_step_are_no_result(tmp_path):
    """The loss of a step is that of the weights before it: validation sees the ones after."""
    last = spec(
        "optimizer=momentum", "lr=1e30", "epochs=1", "warmup_epochs=0", "global_batch=512", "mixup=0", "cutmix=0"
    )
    folder = job.prepare(tmp_path, last)
    with pytest.raises(job.RunFailed, match=r"raw_val_loss is (nan|inf) after epoch 0"):
        job.run(folder, resources(micro_batch=512), Stop())
    assert load_record(folder).results == {}
    assert not checkpoints(folder)


def test_accuracy_counts_ties_and_nan_as_no_better_than_they_are():
    from bench.training.metrics import count_hits, rank

    labels = torch.tensor([3, 0])
    assert count_hits(rank(torch.zeros(2, 1000)), labels)[0] <= 1  # all tied: one guess each
    assert count_hits(rank(torch.eye(10)[[3, 0]]), labels) == (2, 2)
    assert count_hits(rank(torch.eye(10)[[1, 0]] + 0.1 * torch.eye(10)[[3, 1]]), labels) == (1, 2)


def test_checkpoints_that_are_gone_stop_the_run(half_done):
    for path in checkpoints(half_done):
        path.unlink()
    code, err = finish(start(half_done))
    assert code == 1
    assert "no sound checkpoint" in err.splitlines()[-1]
    assert "they are gone" in err.splitlines()[-1]


def test_what_nobody_foresaw_is_one_line_and_a_traceback_in_a_file(half_done):
    newest = checkpoints(half_done)[0]
    torch.save({"another": "thing"}, newest)
    digest = hashlib.sha256(newest.read_bytes()).hexdigest()
    newest.with_suffix(".pt.sha256").write_text(f"{digest}  {newest.name}\n")
    code, err = finish(start(half_done))
    assert code == 1
    assert "failed: KeyError" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert "Traceback" in (half_done / "traceback.txt").read_text()
    record = load_record(half_done)
    assert record.status == "failed"
    assert f"(see {half_done.name}/traceback.txt)" in record.error  # it may be read on another machine
    assert str(half_done.parent) not in (half_done / "record.json").read_text()


@pytest.mark.parametrize("content", ["", "{}", '{"model": 3'])
def test_a_damaged_spec(half_done, content):
    (half_done / "spec.json").write_text(content)
    code, err = finish(start(half_done))
    assert code == 1
    assert "spec.json" in err.splitlines()[-1]
    assert "Traceback" not in err
    job.prepare(half_done.parent, spec())  # the command line's way in mends it
    assert load_spec(half_done) == spec()


def test_unreadable_images_are_counted_up_to_a_limit(tmp_path):
    for split, count in (("train", 8), ("test", 2)):
        for label in range(10):
            folder = tmp_path / "cifar10" / split / str(label)
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (32, 32), (25 * label, 0, 9 * (split == "test"))).save(folder / f"{i}.png")
    for label in (1, 2):
        (tmp_path / "cifar10" / "train" / str(label) / "0.png").write_bytes(b"no image")
    run = spec("epochs=1", "global_batch=80", dataset="cifar10")
    folder = job.prepare(tmp_path / "runs", run)
    with pytest.raises(job.RunFailed, match=r"2 images failed to load, and a run may skip 1; the last: .*0\.png"):
        job.run(folder, resources(data=str(tmp_path), max_unreadable=1), Stop())
    assert len(load_record(folder).unreadable) == 2
    job.run(folder, resources(data=str(tmp_path), max_unreadable=2), Stop())
    record = load_record(folder)
    assert record.status == "completed"
    assert [line.partition(": ")[0][-7:] for line in sorted(record.unreadable)] == ["1/0.png", "2/0.png"]
    assert not record.is_whole  # 80 images are not CIFAR-10


def test_other_data_under_a_begun_run_are_refused(half_done):
    record = unsealed((half_done / "record.json").read_text())
    record["data"]["train_images"] = 511
    (half_done / "record.json").write_text(sealed(record))
    with pytest.raises(RequestError, match=r"was begun on 511 training images, and .* holds 512"):
        job.run(half_done, resources(), Stop())


def test_another_precision_is_refused_unless_asked_for(tmp_path):
    automatic = automatic_precision(torch.device("cpu"))
    other = "float32" if automatic == "bfloat16" else "bfloat16"
    folder = job.prepare(tmp_path, spec("epochs=1"))
    stop = Stop()
    stop.signal = signal.SIGTERM  # after a step
    with pytest.raises(job.RunInterrupted):
        job.run(folder, resources(precision=other), stop)
    with pytest.raises(
        RequestError,
        match=rf"was trained in {other} so far, and this machine's automatic choice is {automatic}; choose "
        rf"--precision {other} to go on so, or --precision {automatic} to change it",
    ):
        job.run(folder, resources(), Stop())
    assert load_record(folder).precision == other
    for precision in (other, automatic, "auto"):
        with pytest.raises(job.RunInterrupted):
            job.run(folder, resources(precision=precision), stop)
    record = load_record(folder)
    attempts = [event for event in record.history if event["what"] == "running"]
    assert [event.get("precision") for event in attempts] == [other, None, other, automatic, automatic]
    assert attempts[-1]["device"] == record.device == "cpu"
    assert attempts[-1]["world_size"] == 1
    (changed,) = [event["note"] for event in record.history if event["what"] == "precision"]
    assert changed == f"from {other} to {automatic}, as asked for"


def test_fewer_images_than_a_batch(tmp_path):
    with pytest.raises(RequestError, match="512 training images are less than one global batch of 1024"):
        job.run(job.prepare(tmp_path, spec("global_batch=1024")), resources(), Stop())
