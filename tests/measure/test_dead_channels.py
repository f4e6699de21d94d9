"""Dead channels over many images, counted once more layer by layer and image by image."""

import dataclasses

import numpy as np
import pytest
import timm
import torch

import models  # noqa: F401  (registers with timm)
from bench.experiments.scales import SMOKE
from bench.measure import dead_channels
from bench.measure.dead_channels import count, evenly_spaced
from bench.results.record import Fingerprint
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec
from bench.training import identity
from bench.training.data import Synthetic
from tests.report.test_frame import trained

SIDE = 32
TINY = {"embed_dim": 64, "depth": 2, "num_heads": 2}


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """More than a batch, and no multiple of one."""
    monkeypatch.setattr(dead_channels, "IMAGES", 40)


def t2t_vit():
    """Two channels of the residual stream are zero."""
    network = timm.create_model("t2t_vit_7", num_classes=100, img_size=SIDE, **TINY)
    with torch.no_grad():
        network.pos_embed[..., [3, 40]] = 0
        last = [network.tokens_to_token.project, *(part for b in network.blocks for part in (b.attn.proj, b.mlp.fc2))]
        for layer in last:
            layer.weight[[3, 40]] = 0
            layer.bias[[3, 40]] = 0
    return network, TINY


def resnet():
    """A ReLU leaves some channels zero on some images."""
    network = timm.create_model("resnet10t", num_classes=100)
    with torch.no_grad():
        network.bn1.bias.copy_(torch.linspace(-1.5, 0.5, len(network.bn1.bias)))
    return network, {}


def counted(network, arguments, tmp_path, images):
    """Counts of a network's weights in a run's checkpoint."""
    model = "resnet10t" if not arguments else "t2t_vit_7"
    spec = RunSpec(
        model=model,
        model_args=tuple(arguments.items()),
        dataset="synthetic",
        recipe=SMOKE.recipe,
        img_size=SIDE,
        seed=0,
    )
    path = tmp_path / "checkpoints" / "epoch_1.pt"
    path.parent.mkdir()
    torch.save({"network": network.state_dict()}, path)
    return count(spec, record(spec, identity.identify(images).sha256), path, images)


def record(spec, val_sha256):
    fingerprint = Fingerprint(
        basis="generated",
        classes=100,
        class_names=(),
        train_images=10,
        val_images=10,
        train_sha256="0" * 64,
        val_sha256=val_sha256,
    )
    return dataclasses.replace(trained(spec.run_id), fingerprint=fingerprint)


@pytest.mark.parametrize(("make", "prefix_tokens"), [(t2t_vit, 1), (resnet, 0)])
def test_counts_are_those_of_each_image_and_layer_alone(make, prefix_tokens, tmp_path):
    torch.manual_seed(0)
    network, arguments = make()
    images = Synthetic("val")
    found = counted(network, arguments, tmp_path, images)
    network.eval()
    assert found.images == evenly_spaced(len(images))
    for layer in found.layers:
        skipped = prefix_tokens if "blocks" in layer.name else 0
        seen = []
        hook = network.get_submodule(layer.name).register_forward_hook(lambda m, i, o, seen=seen: seen.append(o[0]))
        for index in found.images:
            pixels = (np.asarray(images[index][0]) / 255 - 0.5) / 0.25
            with torch.no_grad():
                network(torch.from_numpy(pixels).float().permute(2, 0, 1)[None])
        hook.remove()
        values = [v.flatten(1).T if v.ndim == 3 else v[skipped:] for v in seen]  # (positions, C)
        dead = torch.stack([v.abs().amax(0) <= 0.01 * v.square().mean().sqrt() for v in values])
        assert layer.dead == tuple(dead.sum(1).tolist()), layer.name
        assert layer.always_dead == int(dead.all(0).sum())
    assert 0 < found.always_dead_pct <= found.dead_pct
    if make is resnet:
        assert len(set(found.shares)) > 1
    else:
        blocks = [layer for layer in found.layers if layer.name.startswith("blocks")]
        assert [layer.always_dead for layer in blocks] == [2, 2]


def test_images_that_the_run_was_not_tested_on_are_refused(tmp_path):
    spec = RunSpec(model="resnet10t", dataset="synthetic", recipe=SMOKE.recipe, img_size=SIDE, seed=0)
    with pytest.raises(RequestError, match="synthetic here has other test images than those of the run; give its own"):
        count(spec, record(spec, "1" * 64), tmp_path / "none.pt", Synthetic("val"))


@pytest.mark.parametrize(("size", "indices"), [(3, (0, 1, 2)), (40, tuple(range(40))), (80, tuple(range(1, 80, 2)))])
def test_images_are_evenly_spaced(size, indices):
    assert evenly_spaced(size) == indices
