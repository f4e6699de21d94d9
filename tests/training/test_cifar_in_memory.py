"""CIFAR from memory: the same images as one by one, within one grey level."""

import dataclasses
import json
import random
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cli import loading
from bench.experiments.budgets import PILOT, SMOKE
from bench.experiments.recipes import CIFAR_TRANSFER, T2T_LITE, override
from bench.launch import job
from bench.results.run_folder import checkpoints, load_record
from bench.spec.batch_layout import lay_out
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec
from bench.training import cifar_in_memory, data
from bench.training.distributed import World
from bench.training.signals import Stop
from tests.conftest import ROOT
from tests.report.test_evidence import follow_cifar, read, tables_of

CPU = torch.device("cpu")
KNOWN = data.KNOWN["cifar10"]
BICUBIC_TRANSFER = override(CIFAR_TRANSFER, ["interpolation=bicubic", "hflip=0.3"])


class Images:
    """Smooth shapes under noise, from 0 to 255, some of them unreadable."""

    def __init__(self, size=32, *, height=32, width=32, unreadable=()):
        generator = np.random.default_rng(0)
        coarse = generator.integers(-80, 336, (size, height // 8, width // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
        noisy = coarse + generator.normal(0, 20, coarse.shape)
        self.arrays, self.unreadable = noisy.clip(0, 255).astype(np.uint8), unreadable

    def __len__(self):
        return len(self.arrays)

    def __getitem__(self, index):
        if index in self.unreadable:
            raise OSError("truncated\nfile")
        return Image.fromarray(self.arrays[index]), index % 10


def training(images, recipe, side, *, seed=3, epoch=2, local_batch=16, rank=0, world_size=1, start=0):
    """A process's training batches of an epoch: one by one, and from memory."""
    loaders = []
    for _ in range(2):
        share = lay_out(override(recipe, ["global_batch=32", f"local_batch={local_batch}"]), rank, world_size, 64)
        order = data.TrainBatches(len(images), share, seed, repeats=recipe.augmentation_repeats)
        order.epoch, order.start_step = epoch, start
        loaders.append(order)
    samples = data.Samples(images, data.train_transform(recipe, side, KNOWN), seed, training=True)
    pixels = cifar_in_memory.read(images, CPU)
    return list(data.TrainLoader(samples, loaders[0], 0, CPU)), list(
        cifar_in_memory.train_loader(pixels, loaders[1], recipe, side, KNOWN)
    )


def evaluation(images, recipe, side, *, rank=0, world_size=1):
    samples = data.Samples(images, data.eval_transform(recipe, side, KNOWN), 0, training=False)
    pixels, here = cifar_in_memory.read(images, CPU), World(rank=rank, size=world_size, device=CPU)
    return list(data.eval_loader(samples, 12, 0, here)), list(
        cifar_in_memory.eval_loader(pixels, data.eval_batches(len(images), 12, rank, world_size), recipe, side, KNOWN)
    )


def assert_same(one_by_one, from_memory):
    assert len(one_by_one) == len(from_memory) > 0
    for expected, found in zip(one_by_one, from_memory, strict=True):
        assert torch.equal(found.labels, expected.labels)
        assert torch.equal(found.indices, expected.indices)
        assert found.unreadable == expected.unreadable
        assert found.images.dtype == torch.float32
        levels = 255 * torch.tensor(KNOWN.std)[:, None, None] * (found.images - expected.images)
        assert levels.abs().max() < 0.501  # what PIL rounds after the second pass


def test_memory_is_used_again_only_once_nobody_holds_it():
    buffers = cifar_in_memory.Buffers(CPU)
    first = buffers.empty((2, 3))
    part, place = first[1], first.data_ptr()
    assert buffers.empty((2, 3)).data_ptr() != place
    del first
    second = buffers.empty((2, 3))
    assert second.data_ptr() != place  # part still holds it
    other = second.data_ptr()
    del part, second
    assert {buffers.empty((2, 3)).data_ptr() for _ in range(20)} == {place, other}
    assert buffers.empty((3, 3)).shape == (3, 3)


def test_batches_that_are_kept_stay_what_they_are():
    pixels = cifar_in_memory.read(Images(), CPU)
    order = data.TrainBatches(len(pixels.labels), lay_out(override(PILOT, ["global_batch=8"]), 0, 1, 8), 0)
    loader = cifar_in_memory.train_loader(pixels, order, CIFAR_TRANSFER, 32, KNOWN)
    kept = list(loader)
    copies = [batch.images.clone() for batch in loader]
    assert all(torch.equal(batch.images, copy) for batch, copy in zip(kept, copies, strict=True))


@pytest.mark.parametrize(
    ("recipe", "side"),
    [
        (CIFAR_TRANSFER, 224),
        (CIFAR_TRANSFER, 50),
        (CIFAR_TRANSFER, 32),
        (CIFAR_TRANSFER, 20),
        (BICUBIC_TRANSFER, 40),
        (PILOT, 96),
        (PILOT, 24),
        (override(PILOT, ["interpolation=bilinear", "hflip=0", "crop_scale_min=0.08"]), 64),
        (override(PILOT, ["augmentation_repeats=3"]), 48),
    ],
)
def test_training_images_are_those_of_the_transforms(recipe, side):
    assert_same(*training(Images(), recipe, side))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("crop_pct", [1.0, 0.9])
@pytest.mark.parametrize("side", [224, 96, 32, 24, 7])
def test_evaluation_images_are_those_of_the_transform(interpolation, crop_pct, side):
    recipe = override(PILOT, [f"eval_interpolation={interpolation}", f"crop_pct={crop_pct}"])
    assert_same(*evaluation(Images(20), recipe, side))


@pytest.mark.parametrize(("height", "width"), [(40, 24), (24, 40)])
def test_images_need_not_be_square(height, width):
    images = Images(height=height, width=width)
    for recipe in (CIFAR_TRANSFER, PILOT):
        assert_same(*training(images, recipe, 48))
    assert_same(*evaluation(images, override(PILOT, ["crop_pct=0.9"]), 48))


def test_a_flip_is_exact_and_what_is_outside_is_black():
    pixels = cifar_in_memory.read(Images(1), CPU)
    views = cifar_in_memory.Views(source=(32, 32), resized=(48, 48), recipe=None, side=48, interpolation="bilinear")
    loader = cifar_in_memory.Loader(pixels, [], views, KNOWN, 0)
    out = torch.empty(2, 3, 48, 48)
    loader._fill([0, 0], [cifar_in_memory.View(0, 0, 32, 32, -5, 6, flip) for flip in (0, 1)], out)
    assert torch.equal(out[0].flip(-1), out[1])
    black = (-torch.tensor(KNOWN.mean) / torch.tensor(KNOWN.std))[:, None, None]
    torch.testing.assert_close(out[0, :, :5], black.expand(3, 5, 48))
    torch.testing.assert_close(out[0, :, :, 42:], black.expand(3, 48, 6))
    assert (out[0, :, 5:, :42] - black).abs().mean() > 1


@pytest.mark.parametrize("world_size", [2, 3])
def test_validation_sees_every_image_exactly_once(world_size):
    images = Images(32)
    shares = [evaluation(images, PILOT, 32, rank=rank, world_size=world_size) for rank in range(world_size)]
    for share in shares:
        assert_same(*share)
    images = torch.cat([batch.images for _, from_memory in shares for batch in from_memory])
    assert len(images) == len(images.flatten(1).unique(dim=0)) == 32


def test_neither_processes_nor_local_batches_nor_a_restart_nor_threads_change_a_pixel(monkeypatch):
    def pixels(**kwargs):
        return torch.cat([batch.images for batch in training(Images(64), PILOT, 32, **kwargs)[1]])

    alone = pixels()
    halves = [pixels(rank=rank, world_size=2, local_batch=4).unflatten(0, (2, 16)) for rank in (0, 1)]
    assert torch.equal(alone.unflatten(0, (2, 32)), torch.cat(halves, dim=1))
    assert torch.equal(alone[32:], pixels(start=1))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert torch.equal(alone, pixels())
    assert not torch.equal(alone, pixels(epoch=1))
    assert not torch.equal(alone, pixels(seed=1))


def test_loading_leaves_the_trainings_generators_alone():
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state()
    training(Images(), PILOT, 24)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.random.get_rng_state(), states[2])


def test_an_unreadable_image_is_named_and_another_takes_its_place():
    images = Images(unreadable={0, 1, 9, 31})  # the last one's place goes to number 2
    one_by_one, from_memory = training(images, PILOT, 24)
    assert_same(one_by_one, from_memory)
    assert sum(len(batch.labels) for batch in from_memory) == 32
    lines = [line for batch in from_memory for line in batch.unreadable]
    assert sorted(set(lines))[0] == "image 0: OSError: truncated file"
    assert len(lines) == 1 + 2 + 1 + 3
    one_by_one, from_memory = evaluation(images, PILOT, 24)
    assert_same(one_by_one, from_memory)
    assert sum(len(batch.labels) for batch in from_memory) == 28
    assert len([line for batch in from_memory for line in batch.unreadable]) == 4


def test_a_place_stays_empty_after_many_unreadable_images():
    one_by_one, from_memory = training(Images(128, unreadable=range(110)), PILOT, 24)
    assert_same(one_by_one, from_memory)
    assert sum(len(batch.labels) for batch in from_memory) < 128
    one_by_one, from_memory = evaluation(Images(20, unreadable=range(12)), PILOT, 24)  # none in the first batch
    assert [len(batch.labels) for batch in one_by_one] == [len(batch.labels) for batch in from_memory] == [0, 8]
    assert cifar_in_memory.read(Images(unreadable=range(32)), CPU) == "no image could be read"


def test_what_does_not_fit_has_a_reason():
    assert cifar_in_memory.obstacle(CIFAR_TRANSFER) == cifar_in_memory.obstacle(PILOT) == ""
    assert cifar_in_memory.obstacle(T2T_LITE)
    for setting in ("interpolation=random", "color_jitter=0.4", "random_erasing=0.25", "auto_augment=rand-m9"):
        assert cifar_in_memory.obstacle(override(PILOT, [setting])) == setting
    assert not cifar_in_memory.obstacle(override(PILOT, ["random_erasing=0.25", "erase_after_mixing=true"]))
    images = Images()
    images.arrays = [*images.arrays[:5], np.zeros((20, 30, 3), np.uint8)]
    assert cifar_in_memory.read(images, CPU) == "image 5 is 30 x 20 px, others 32 x 32"


# A run


def spec(*settings):
    recipe = override(override(SMOKE, ["epochs=2", "global_batch=16"]), settings)
    tiny = (("embed_dim", 32), ("depth", 1), ("num_heads", 2))
    return RunSpec(model="t2t_vit_7", model_args=tiny, recipe=recipe, dataset="cifar10", img_size=32)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """CIFAR-10 as class folders, 8 training and 3 test images a class."""
    root = tmp_path_factory.mktemp("data")
    for split, count in (("train", 8), ("test", 3)):
        images = Images(10 * count)
        for index, array in enumerate(images.arrays):
            folder = root / "cifar10" / split / f"class{index % 10}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / f"{index}.png")
    return root


def resources(cifar, **kwargs):
    return Resources(**{"data": str(cifar), "save_every_s": 0, "workers": 0} | kwargs)


def result(folder):
    saved = torch.load(checkpoints(folder)[0], weights_only=True)
    return (folder / "metrics.jsonl").read_bytes(), saved["network"] | saved["ema"]


def one_by_one(monkeypatch):
    monkeypatch.setattr(cifar_in_memory, "DATASETS", ())


def test_a_killed_run_from_memory_ends_with_the_same_bits_and_near_the_one_by_one(cifar, tmp_path, monkeypatch, capfd):
    undisturbed = job.prepare(tmp_path / "undisturbed", spec())
    with monkeypatch.context() as patch:
        patch.setattr(data, "DataLoader", None)  # nothing is loaded one by one
        job.run(undisturbed, resources(cifar), Stop())
    assert "one by one" not in capfd.readouterr().err
    killed = job.prepare(tmp_path / "killed", spec())
    command = [sys.executable, "-m", "bench.launch.job", str(killed), json.dumps(dataclasses.asdict(resources(cifar)))]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not checkpoints(killed):
        time.sleep(0.0005)
    process.kill()
    process.communicate(timeout=60)
    assert load_record(killed).status == "running"
    job.run(killed, resources(cifar), Stop())
    assert "resumes at epoch" in capfd.readouterr().err
    (metrics, weights), (expected_metrics, expected) = result(killed), result(undisturbed)
    assert metrics == expected_metrics
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    one_by_one(monkeypatch)
    other = job.prepare(tmp_path / "one_by_one", spec())
    job.run(other, resources(cifar), Stop())
    lines = [(f / "metrics.jsonl").read_text().splitlines() for f in (undisturbed, other)]
    for ours, theirs in zip(*lines, strict=True):
        assert json.loads(ours)["raw_val_images"] == 30
        assert json.loads(ours)["raw_val_loss"] == pytest.approx(json.loads(theirs)["raw_val_loss"], rel=2e-2)


def test_a_run_says_why_images_are_loaded_one_by_one(cifar, tmp_path, capfd):
    job.run(job.prepare(tmp_path, spec("epochs=1", "random_erasing=0.25")), resources(cifar), Stop())
    err = capfd.readouterr().err
    assert "training images are loaded one by one, not from memory: random_erasing=0.25" in err
    assert "validation images" not in err.replace("30 validation images", "")


# The benchmark


def test_the_benchmark_reports_both_and_their_ratio(tmp_path, capsys):
    loading.main(["--images", "64", "--rounds", "2", "--reports", str(tmp_path)])
    text = (tmp_path / "loading.md").read_text()
    assert capsys.readouterr().out == text
    rows = re.findall(r"^\| (\d) \| (\d+) \| (\d+) \| (\d+\.\d\d) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "2"]
    (table,) = tables_of(tmp_path / "loading.md")
    follow_cifar(table, read(tmp_path / "evidence/loading.json")["cifar"], text)
    for _, slow, fast, ratio in rows:
        assert float(ratio) == pytest.approx(int(fast) / int(slow), rel=0.05)
    assert "median of 2 rounds" in text


def test_the_benchmark_reads_real_images_too_and_refuses_what_it_cannot(cifar, tmp_path, capsys):
    loading.main(["--images", "64", "--rounds", "2", "--data", str(cifar), "--reports", str(tmp_path)])
    assert "(CIFAR-10)" in (tmp_path / "loading.md").read_text()
    with pytest.raises(SystemExit, match="2"):
        loading.main(["--data", str(tmp_path)])
    assert "no cifar10 in" in capsys.readouterr().err
    images = Images(64)
    images.arrays = [*images.arrays, np.zeros((20, 30, 3), np.uint8)]
    with pytest.raises(RequestError, match="image 64 is 30 x 20 px"):
        loading.measure_cifar(images, rounds=2)
