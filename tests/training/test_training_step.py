"""The training step: what it computes is what a plain loop computes, and it never waits for the device."""

from copy import deepcopy

import pytest
import torch
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from bench.experiments.recipes import T2T_LITE, TORCHVISION, changed
from bench.training.training_step import TrainingStep

CPU = torch.device("cpu")
RECIPES = {
    "adamw": changed(T2T_LITE, "a test", ema_decay=0.9),
    "momentum": changed(TORCHVISION, "a test", ema_decay=0.9),
}


class Convolutions(nn.Module):
    """With batch norm, whose buffers are averaged too, and its count of batches, which is copied."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(functional.relu(self.norm(self.conv(x))).mean((2, 3)))


def batches(count):
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(4, 3, 8, 8, generator=generator), torch.randint(10, (4,), generator=generator))
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", RECIPES)
def test_twenty_steps_are_those_of_a_plain_loop(name):
    recipe = RECIPES[name]
    torch.manual_seed(0)
    network = Convolutions()
    plain = deepcopy(network)
    ema = ModelEmaV3(plain, decay=recipe.ema_decay, min_decay=0.0, update_after_step=0, use_warmup=False, foreach=False)
    options = {"betas": (0.9, 0.999), "eps": 1e-8} if name == "adamw" else {"momentum": recipe.momentum}
    optimizer = create_optimizer_v2(
        plain,
        opt=recipe.optimizer,
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        filter_bias_and_bn=not recipe.decay_1d,
        foreach=False,
        **options,
    )
    step = TrainingStep(recipe, network, CPU, "float32")
    before = deepcopy(network.state_dict())
    for images, labels in batches(20):
        step.backward(step.loss(images, labels))
        step.update()
        optimizer.zero_grad()
        functional.cross_entropy(plain(images), labels, label_smoothing=recipe.label_smoothing).backward()
        optimizer.step()
        ema.update(plain)
    assert not torch.equal(before["conv.weight"], network.conv.weight)
    for ours, theirs in ((network, plain), (step.ema.module, ema.module)):
        torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=1e-6)
    assert step.ema.module.norm.num_batches_tracked == 20


def test_averages_have_the_bits_of_timms():
    torch.manual_seed(0)
    network = Convolutions()
    step = TrainingStep(RECIPES["adamw"], network, CPU, "float32")
    ema = ModelEmaV3(network, decay=0.9, min_decay=0.0, update_after_step=0, use_warmup=False)
    for images, labels in batches(3):
        step.backward(step.loss(images, labels))
        step.update()
        ema.update(network)
    for name, value in ema.module.state_dict().items():
        assert torch.equal(step.ema.module.state_dict()[name], value), name


class Waits(TorchDispatchMode):
    """Notes each operation that reads a value back from the device."""

    READS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket.__name__ in self.READS:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", RECIPES)
def test_a_step_reads_nothing_back(name, precision):
    torch.manual_seed(0)
    step = TrainingStep(RECIPES[name], Convolutions(), CPU, precision)
    for images, labels in batches(2):  # the first makes the optimizer's state
        with Waits() as waits:
            for _ in range(2):
                step.backward(step.loss(images, labels) / 2)
            step.update()
        assert waits.found == []


def test_a_wait_would_be_noticed():
    with Waits() as waits:
        torch.ones(1).item()
    assert waits.found == ["aten._local_scalar_dense.default"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_step_that_overflows_changes_no_weight(name):
    torch.manual_seed(0)
    network = Convolutions()
    step = TrainingStep(RECIPES[name], network, CPU, "float16")
    (images, labels), (more, their_labels) = batches(2)
    step.backward(step.loss(images, labels))
    step.update()
    before, scale = deepcopy(dict(network.named_parameters())), step.scaler.get_scale()
    step.backward(step.loss(more * 1e30, their_labels))
    step.update()
    assert all(torch.equal(before[key], value) for key, value in network.named_parameters())
    assert step.scaler.get_scale() == scale / 2
    step.backward(step.loss(images, labels))
    step.update()
    assert not torch.equal(before["conv.weight"], network.conv.weight)


def test_gradients_are_gone_behind_a_step():
    step = TrainingStep(RECIPES["adamw"], Convolutions(), CPU, "float32")
    ((images, labels),) = batches(1)
    step.backward(step.loss(images, labels))
    step.update()
    assert all(p.grad is None for p in step.network.parameters())
