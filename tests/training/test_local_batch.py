"""Neither processes nor micro-batches change what a run comes to: the local batch belongs to the recipe."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from timm.layers import DropPath
from torch import nn
from torch.nn import functional

from bench.experiments.recipes import DEIT, T2T_MEDIUM, override
from bench.launch import job
from bench.results.run_folder import load_record
from bench.spec.batch_layout import lay_out
from bench.spec.errors import RequestError
from bench.spec.recipe import divisors
from bench.training.batch_statistics import batch_statistics
from bench.training.local_draws import LocalDraws
from bench.training.signals import Stop
from tests.conftest import ROOT
from tests.training.test_trainer import resources, spec

SHORT = ["epochs=3", "warmup_epochs=0", "optimizer=momentum", "global_batch=32", "auto_augment="]
DEEPER = (("embed_dim", 32), ("depth", 2), ("num_heads", 2))
# Dropout in Performers and blocks, stochastic depth, mixup and cutmix, erasing, and a rate at which all have an effect.
T2T = spec(
    *(*SHORT, "lr=1", "drop_path=0.5", "dropout=0.2", "erase_after_mixing=true", "local_batch=16"),
    dataset="cifar10",
    model_args=DEEPER,
)
CNN = spec(
    *(*SHORT, "lr=0.1", "drop_path=0", "random_erasing=0", "local_batch=8"),
    dataset="cifar10",
    model="test_resnet",
    model_args=(),
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Few enough for two steps an epoch."""
    base = tmp_path_factory.mktemp("images")
    generator = np.random.RandomState(0)
    for split, count in (("train", 64), ("test", 16)):
        for i in range(count):
            folder = base / "cifar10" / split / f"class{i % 8}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.randint(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i}.png")
    return base


def given(images, micro_batch, **kwargs):
    return resources(data=str(images), precision="float32", micro_batch=micro_batch, save_every_s=1000, **kwargs)


def losses(folder):
    """Of training and validation, of raw and averaged weights, by epoch."""
    record = load_record(folder)
    assert record.status == "completed", record.error
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("train_loss", "raw_val_loss", "ema_val_loss")]


TOGETHER = ((T2T, 2, 16), (T2T, 4, 2), (CNN, 2, 16), (CNN, 4, 8))
ALONE = ((T2T, 1, 8), (T2T, 1, 5), (T2T, 1, 1))


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    """Each run, by its spec, number of processes and size of micro-batches: its folder."""
    base = tmp_path_factory.mktemp("local_batch")
    folders = {}
    for run, processes, most in ((T2T, 1, 16), (CNN, 1, 16), *ALONE, *TOGETHER):
        folders[run, processes, most] = job.prepare(base / f"{processes}-{most}", run)
    for (_, processes, most), folder in folders.items():
        if processes == 1:
            job.run(folder, given(images, most), Stop())
    several = [(str(folders[each]), each[1], dataclasses.asdict(given(images, each[2]))) for each in TOGETHER]
    command = [sys.executable, "-m", "tests.together", json.dumps(several)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.parametrize(
    ("run", "processes", "micro_batch"), [*ALONE, *TOGETHER], ids=lambda value: getattr(value, "model", value)
)
def test_processes_and_micro_batches_change_no_loss(trained, run, processes, micro_batch):
    folder = trained[run, processes, micro_batch]
    assert losses(folder) == pytest.approx(losses(trained[run, 1, 16]), rel=1e-4)
    assert load_record(folder).world_size == processes


def test_another_local_batch_is_another_run(trained, images, tmp_path):
    other = dataclasses.replace(T2T, recipe=override(T2T.recipe, ["local_batch=8"]))
    assert other.run_id != T2T.run_id
    folder = job.prepare(tmp_path, other)
    job.run(folder, given(images, 16), Stop())
    assert losses(folder) != pytest.approx(losses(trained[T2T, 1, 16]), rel=1e-3)


# Batch norm


def test_batch_norm_takes_whole_local_batches(images, tmp_path):
    whole = r"test_resnet has batch norm, whose local batches of 8 images must be whole"
    with pytest.raises(RequestError, match=whole + r", and --micro-batch 4 splits them; choose --micro-batch 8 or"):
        job.run(job.prepare(tmp_path, CNN), given(images, 4), Stop())
    one = dataclasses.replace(CNN, recipe=override(CNN.recipe, ["local_batch=32"]))
    folder = job.prepare(tmp_path, one)
    with pytest.raises(RequestError, match=r"has 1 of them, which 2 processes cannot share; choose 1 process, or"):
        job.run_processes(folder, given(images, 32), 2, Stop())
    assert load_record(folder).status == "failed"


@pytest.mark.parametrize(
    ("layer", "takes_statistics"),
    [
        (nn.BatchNorm2d(4), True),
        (nn.BatchNorm2d(4, track_running_stats=False), True),
        (nn.BatchNorm2d(4).eval(), False),
        (nn.InstanceNorm2d(4, track_running_stats=True), True),
        (nn.InstanceNorm2d(4), False),
        (nn.LayerNorm(4), False),
        (nn.GroupNorm(2, 4), False),
    ],
    ids=str,
)
def test_which_layers_take_statistics_over_a_batch(layer, takes_statistics):
    assert bool(batch_statistics(nn.Sequential(layer))) == takes_statistics


def test_frozen_batch_norm_takes_none():
    from timm.layers import freeze_batch_norm_2d

    network = freeze_batch_norm_2d(nn.Sequential(nn.BatchNorm2d(4)))
    assert any(name.endswith("running_var") for name, _ in network.named_buffers())
    assert not batch_statistics(network)


# Layout


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 6, 12, 24])
@pytest.mark.parametrize("mixup", [0, 0.8])
@pytest.mark.parametrize("most", [1, 7, 64])
def test_every_image_is_trained_once_and_no_micro_batch_leaves_its_local_batch(world_size, mixup, most):
    recipe = override(T2T_MEDIUM, ["global_batch=72", "local_batch=25", f"mixup={mixup}", "cutmix=0"])
    assert recipe.effective_local_batch == 24
    seen = []
    for rank in range(world_size):
        layout = lay_out(recipe, rank, world_size, most)
        assert layout.micro_batch <= most
        assert layout.micro_batches * layout.micro_batch == 72 // world_size
        for part in layout.parts:
            assert part.place % 24 == 0
            assert len(part.rows) % layout.micro_batch == 0
            assert set(part.rows) <= set(part.loaded) <= set(range(24))
            assert len(part.loaded) == (24 if mixup else len(part.rows))
            seen += [part.place + row for row in part.rows]
    assert seen == list(range(72))


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (["global_batch=512"], 64),
        (["global_batch=100"], 50),
        (["global_batch=66"], 22),  # 33 is odd, and images are mixed in pairs
        (["global_batch=66", "mixup=0", "cutmix=0"], 33),
        (["global_batch=7", "mixup=0", "cutmix=0"], 7),
        (["global_batch=512", "local_batch=1000"], 512),
    ],
)
def test_the_local_batch_is_the_largest_that_divides_the_global_one(settings, size):
    assert override(T2T_MEDIUM, settings).effective_local_batch == size
    assert DEIT.effective_local_batch == 256


def test_batches_that_cannot_be_shared_or_mixed_are_refused():
    with pytest.raises(RequestError, match=r"512 cannot be split over 3 processes; choose 1, 2, 4, .*256 or 512 proc"):
        lay_out(T2T_MEDIUM, 0, 3, 64)
    for setting in ("global_batch=63", "local_batch=1"):
        with pytest.raises(RequestError, match=rf"pair images, .*{setting}.*; choose an even global_batch"):
            override(T2T_MEDIUM, [setting])


def test_divisors():
    assert [divisors(n) for n in (1, 7, 12, 16)] == [[1], [1, 7], [1, 2, 3, 4, 6, 12], [1, 2, 4, 8, 16]]


# Draws


class Drawing(nn.Module):
    """Draws in every way that the networks do, on layouts of memory that they have."""

    def __init__(self):
        super().__init__()
        self.drop_path = DropPath(0.3)

    def forward(self, x):
        x = functional.dropout(self.drop_path(x), 0.4, self.training)
        x = functional.dropout(x.transpose(1, 2), 0.2, self.training)  # not contiguous
        x = functional.scaled_dot_product_attention(x, x, x, dropout_p=0.3 if self.training else 0)
        return functional.dropout2d(x[:, :, :, None], 0.1, self.training)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_part_draws_what_the_whole_would_have(size):
    network, x = Drawing().train(), torch.rand(10, 4, 6, requires_grad=True)
    torch.manual_seed(5)
    whole = network(x)
    whole.square().sum().backward()
    expected, x.grad = x.grad, None
    parts = []
    for at in range(0, 10, size):
        torch.manual_seed(5)
        with LocalDraws(range(at, at + size), 10):
            part = network(x[at : at + size])
        part.square().sum().backward()
        parts.append(part)
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(x.grad, expected)
    assert len(torch.cat(parts).detach().flatten(1).unique(dim=0)) > 5


def test_what_cannot_be_drawn_in_parts_is_refused():
    part = torch.rand(2, 1, 3, 8)
    with LocalDraws(range(2), 4):
        functional.scaled_dot_product_attention(part, part, part)  # draws nothing
        for draw in (lambda: torch.rand(2), lambda: torch.bernoulli(part), lambda: part[0].bernoulli_(0.5)):
            with pytest.raises(RequestError, match=r"draws random numbers by aten\..*; choose --micro-batch 4 or more"):
                draw()
