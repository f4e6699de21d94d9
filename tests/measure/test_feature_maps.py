"""Feature maps: the counts on maps made by hand, the layers of real networks, and what is kept of them."""

import base64
import dataclasses
import importlib.metadata
import json
import math

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from bench.experiments.budgets import SMOKE
from bench.measure.feature_maps import (
    Photograph,
    _figures,
    channel_states,
    is_current,
    layer_maps,
    layers_of,
    look,
    measure,
    to_maps,
)
from bench.measure.source_hash import source_sha256
from bench.results.codec import sealed, unsealed
from bench.results.feature_maps import FeatureMaps, FeatureSource, LayerMaps
from bench.results.store import load_feature_maps, save_feature_maps
from bench.spec.errors import RequestError
from bench.spec.run import Network, Weights
from bench.training import data
from models.checkpoints import CheckpointError, read_checkpoint

TINY = Network("t2t_vit_7", model_args=(("embed_dim", 32), ("depth", 2), ("num_heads", 2)), img_size=32)


def layer(name="layer", channels=1000, dead=0, saturated=0, shown=(1, 3), shown_dead=(), shown_saturated=()):
    """A layer of 2 x 2 maps."""
    return LayerMaps(
        name=name,
        channels=channels,
        height=2,
        width=2,
        dead=dead,
        saturated=saturated,
        low=0.0,
        high=1.0,
        shown=shown,
        shown_dead=shown_dead,
        shown_saturated=shown_saturated,
        maps=base64.b64encode(bytes(range(4 * len(shown)))).decode(),
    )


def feature_maps(model="resnet50", dead=(0, 0), trained=False, **changes):
    """Feature maps as they would lie in the store, with made-up evidence around the given counts."""
    source = FeatureSource(
        network=Network(model),
        seed=None if trained else 0,
        weights=Weights(file="weights.pth", sha256="1" * 64) if trained else None,
    )
    values = {
        "source": source,
        "image": "photograph.png",
        "image_sha256": "2" * 64,
        "dataset": "imagenet",
        "mean": (0.5, 0.5, 0.5),
        "std": (0.25, 0.25, 0.25),
        "crop_pct": 0.9,
        "eval_interpolation": "bicubic",
        "key": "ema" if trained else "",
        "resized": (),
        "dead_below": 0.01,
        "saturated_above": 10.0,
        "layers": tuple(layer(f"layer{i}", dead=count) for i, count in enumerate(dead)),
        "versions": {"python": "3.11.7", "torch": "2.0"},
        "package": "timm",
        "source_sha256": "3" * 64,
        "machine": "Linux x86_64, a processor, 2 cores",
        "measured_at": "2026-01-02T03:04:05+00:00",
    }
    return FeatureMaps(**values | changes)


@pytest.fixture(scope="module")
def photograph():
    """A gradient, and a line across it."""
    pixels = np.linspace(0, 255, 48 * 64 * 3).reshape(48, 64, 3).astype(np.uint8)
    pixels[20] = 255
    return Photograph(name="gradient.png", sha256="4" * 64, image=Image.fromarray(pixels))


# Dead and saturated, by hand


def test_zero_channels_are_dead_and_a_massive_one_is_saturated():
    maps = torch.ones(8, 3, 3)
    maps[2] = 0
    maps[5] = 0
    maps[7] = 11  # of the six live channels five have 1: their median
    dead, saturated = channel_states(maps)
    assert dead.tolist() == [False, False, True, False, False, True, False, False]
    assert saturated.tolist() == [False] * 7 + [True]
    maps[7] = 10
    assert not channel_states(maps)[1].any()  # ten times is not more than ten times


def test_dead_is_by_the_largest_value_against_the_layers_root_mean_square():
    maps = torch.zeros(4, 2, 2)
    maps[0] = 2.0  # alone: root mean square sqrt(4 / 4) = 1
    maps[1, 0, 0] = -0.009
    maps[2, 1, 1] = 0.011
    assert channel_states(maps)[0].tolist() == [False, True, False, True]
    assert torch.equal(channel_states(1e-6 * maps)[0], channel_states(maps)[0])  # whatever the scale


def test_constant_and_negative_channels_are_not_dead():
    maps = torch.ones(3, 4, 4)
    maps[1] = 0.5
    maps[2] = -1
    assert not channel_states(maps)[0].any()


def test_the_many_dead_make_no_live_channel_saturated():
    maps = torch.zeros(8, 2, 2)
    maps[6:] = 1
    dead, saturated = channel_states(maps)
    assert dead.sum() == 6
    assert not saturated.any()


def test_of_dead_channels_alone_none_is_saturated():
    dead, saturated = channel_states(torch.zeros(5, 2, 2))
    assert dead.all()
    assert not saturated.any()


def test_no_channel_is_both():
    maps = torch.zeros(3, 100, 100)
    maps[0] = 1.0  # makes a root mean square of 0.58
    maps[1:, 0, 0] = 0.006  # a single point above 1 % of it: alive, with a root mean square of 0.00006
    maps[2] = 0.005  # dead, and far above the others' median
    maps[0] = 1.0
    dead, saturated = channel_states(torch.cat([maps[:2], maps[1:2], maps[2:]]))
    assert dead.tolist() == [False, False, False, True]
    assert saturated.tolist() == [True, False, False, False]


def test_a_sample_of_the_maps_is_kept_on_the_layers_scale():
    maps = torch.arange(16.0)[:, None, None].expand(16, 3, 3).clone()
    maps[1] = 0
    found = layer_maps("a", maps)
    assert (found.channels, found.height, found.width) == (16, 3, 3)
    assert found.shown == (1, 3, 5, 7, 9, 11, 13, 15)
    assert (found.dead, found.shown_dead) == (2, (1,))
    assert (found.low, found.high) == (0.0, 15.0)
    pixels = np.frombuffer(found.pixels, np.uint8).reshape(8, 3, 3)
    assert pixels[:, 0, 0].tolist() == [0, *(round(255 * value / 15) for value in (3, 5, 7, 9, 11, 13, 15))]


def test_layers_narrower_than_the_sample_are_kept_whole():
    assert layer_maps("a", torch.ones(3, 2, 2)).shown == (0, 1, 2)
    assert set(layer_maps("a", torch.ones(3, 2, 2)).pixels) == {0}  # nothing to tell apart


def test_values_that_are_not_finite_are_no_maps():
    with pytest.raises(RequestError, match=r"a value of blocks\.3 is not finite"):
        layer_maps("blocks.3", torch.tensor([[[1.0, math.nan]]]))


# Layers of real networks


def network(name, **arguments):
    torch.manual_seed(0)
    return timm.create_model(name, **arguments).eval()


@pytest.mark.parametrize(
    ("name", "arguments", "first", "last", "count"),
    [
        (
            "t2t_vit_7",
            {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 64},
            ("tokens_to_token.attention1", 64, 16),
            ("blocks.1", 32, 4),
            5,
        ),
        (
            "t2t_vit_7_distilled",
            {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 64},
            ("tokens_to_token.attention1", 64, 16),
            ("blocks.1", 32, 4),
            5,
        ),
        (
            "vit_s_16",
            {"embed_dim": 32, "depth": 3, "num_heads": 2, "img_size": 64},
            ("tokens_to_token", 32, 4),
            ("blocks.2", 32, 4),
            4,
        ),
        (
            "vit_tiny_patch16_224",
            {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 64},
            ("patch_embed", 32, 4),
            ("blocks.1", 32, 4),
            3,
        ),
        ("test_resnet", {}, ("act1", 32, 32), ("layer4.0", 96, 2), 5),
        ("mobilenetv2_035", {}, ("bn1", 16, 32), ("blocks.6.0", 112, 2), 18),
    ],
)
def test_layers_from_the_stem_to_the_last_block(name, arguments, first, last, count):
    layers = look(network(name, **arguments), torch.randn(3, 64, 64))
    assert (layers[0].name, layers[0].channels, layers[0].height) == first
    assert (layers[-1].name, layers[-1].channels, layers[-1].width) == last
    assert len(layers) == count == len({one.name for one in layers})


@pytest.mark.parametrize("name", ["t2t_vit_7_distilled", "vit_tiny_patch16_224"])
def test_tokens_lie_where_their_patches_do(name):
    """Against timm's own way from tokens to maps."""
    net = network(name, embed_dim=32, depth=2, num_heads=2, img_size=64)
    image = torch.randn(1, 3, 64, 64)
    seen = []
    for module, prefix in [(module, prefix) for name, module, prefix in layers_of(net) if name.startswith("blocks")]:
        module.register_forward_hook(lambda _, __, output, prefix=prefix: seen.append(to_maps(output, prefix)[0]))
    with torch.no_grad():
        expected = net.forward_intermediates(image, intermediates_only=True)
    assert all(torch.equal(one, other[0]) for one, other in zip(seen, expected, strict=True))


def test_maps_are_taken_before_anything_overwrites_them():
    """A residual block's activation works in place on what the block before gave, in some networks."""
    net = network("test_resnet")
    image = torch.randn(3, 64, 64)
    with torch.no_grad():
        stem = net.act1(net.bn1(net.conv1(image[None])))[0]
    assert look(net, image)[0] == layer_maps("act1", stem)


def test_hooks_are_gone_afterwards():
    net = network("test_resnet")
    look(net, torch.randn(3, 64, 64))
    assert not any(module._forward_hooks for module in net.modules())


def test_networks_of_other_kinds_are_refused_with_a_choice():
    with pytest.raises(RequestError, match=r"layers of a AlexNet are not known.*choose a T2T-ViT, a ViT or DeiT"):
        list(layers_of(timm.create_model("alexnet", num_classes=0)))


# Measuring


def test_random_weights_are_the_same_each_time_and_cost_no_random_number(photograph):
    source = FeatureSource(network=TINY, seed=0)
    before = torch.get_rng_state()
    first = measure(source, None, photograph, SMOKE, "synthetic")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(7)
    second = measure(source, None, photograph, SMOKE, "synthetic")
    assert first.layers == second.layers
    other = measure(dataclasses.replace(source, seed=1), None, photograph, SMOKE, "synthetic")
    assert other.layers != first.layers
    assert (first.mean, first.crop_pct, first.key) == ((0.5,) * 3, SMOKE.crop_pct, "")
    assert is_current(first)


def test_a_files_weights_are_the_ones_that_are_seen(photograph, tmp_path):
    torch.manual_seed(3)
    net = timm.create_model(TINY.model, **dict(TINY.model_args), img_size=32, num_classes=10).eval()
    path = tmp_path / "mine.pth"
    torch.save({"state_dict_ema": net.state_dict()}, path)
    checkpoint = read_checkpoint(path)
    source = FeatureSource(network=TINY, weights=Weights(file=path.name, sha256=checkpoint.sha256))
    found = measure(source, checkpoint, photograph, SMOKE, "cifar10")
    assert found.key == "state_dict_ema"
    assert found.weights == f"averaged weights of file mine.pth (sha256 {checkpoint.sha256[:8]})"
    assert found.mean == data.CIFAR_MEAN
    seen = data.eval_transform(SMOKE, 32, data.KNOWN["cifar10"])(photograph.image)
    assert found.layers == look(net, seen)
    of_resnet = dataclasses.replace(source, network=Network("test_resnet", img_size=32))
    with pytest.raises(CheckpointError, match="not this network's"):
        measure(of_resnet, checkpoint, photograph, SMOKE, "cifar10")


def test_a_file_of_timms_sees_images_as_timm_trained_it(photograph, tmp_path):
    path = tmp_path / "timm.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    checkpoint = read_checkpoint(path)
    weights = Weights(file=path.name, sha256=checkpoint.sha256)
    source = FeatureSource(network=Network("test_resnet", img_size=64), weights=weights)
    of_file = measure(source, checkpoint, photograph, SMOKE, "imagenet")
    assert (of_file.mean, of_file.std) == ((0.5,) * 3, (0.5,) * 3)
    of_run = measure(dataclasses.replace(source, run_id="mine"), checkpoint, photograph, SMOKE, "imagenet")
    assert of_run.mean == (0.485, 0.456, 0.406)
    assert of_run.feature_maps_id != of_file.feature_maps_id


@pytest.mark.parametrize("library", ["torch", "timm", "pillow"])
def test_another_version_ends_feature_maps(library):
    versions = {name: importlib.metadata.version(name) for name in ("torch", "torchvision", "timm", "pillow")}
    found = feature_maps(versions=versions)
    found = dataclasses.replace(found, source_sha256=source_sha256(_figures, found.source.network.model))
    assert is_current(found)
    assert not is_current(dataclasses.replace(found, versions={**versions, library: "0.0.1"}))
    assert not is_current(dataclasses.replace(found, source_sha256="5" * 64))


# What is kept


def test_feature_maps_come_back_as_they_were(tmp_path):
    both = [feature_maps(trained=trained, dead=(3, 4)) for trained in (False, True)]
    for one in both:
        save_feature_maps(tmp_path, one)
    found, problems = load_feature_maps(tmp_path)
    assert sorted(found, key=str) == sorted(both, key=str)
    assert problems == []


def test_the_id_stands_for_network_weights_and_image():
    first = feature_maps()
    others = [
        feature_maps("resnet101"),
        feature_maps(trained=True),
        dataclasses.replace(first, image_sha256="6" * 64),
        dataclasses.replace(first, source=dataclasses.replace(first.source, seed=1)),
        dataclasses.replace(first, source=dataclasses.replace(first.source, network=TINY)),
    ]
    assert len({one.feature_maps_id for one in (first, *others)}) == 6
    assert first.feature_maps_id == feature_maps(dead=(5, 5)).feature_maps_id
    assert first.feature_maps_id.startswith("resnet50-224px-22222222-")


def spoilt(tmp_path, spoil):
    """A file of feature maps after a change to it, and what is said of it."""
    save_feature_maps(tmp_path, feature_maps(dead=(3, 4)))
    (path,) = (tmp_path / "feature_maps").iterdir()
    path.write_text(spoil(path.read_text()))
    found, problems = load_feature_maps(tmp_path)
    assert found == []
    (problem,) = problems
    assert str(path) in problem
    return problem


def test_a_file_that_was_edited_or_is_damaged_counts_as_none(tmp_path):
    assert "it was edited" in spoilt(tmp_path, lambda text: text.replace('"dead": 3', '"dead": 900'))
    assert "checksum is missing" in spoilt(tmp_path, lambda text: json.dumps(unsealed(text)))
    spoilt(tmp_path, lambda text: text[:100])
    spoilt(tmp_path, lambda text: sealed({k: v for k, v in unsealed(text).items() if k != "layers"}))
    assert "holds resnet50" in spoilt(tmp_path, lambda text: sealed(unsealed(text) | {"image_sha256": "7" * 64}))


@pytest.mark.parametrize(
    "changes",
    [
        {"dead": -1},
        {"dead": 600, "saturated": 401},
        {"height": 0},
        {"shown": (3, 1)},
        {"shown": (1, 1000)},
        {"shown_dead": (2,)},
        {"dead": 1, "saturated": 1, "shown_dead": (1,), "shown_saturated": (1,)},
        {"shown_dead": (1,)},
        {"low": 2.0},
        {"high": math.nan},
        {"maps": "AAAA"},
        {"maps": "?"},
    ],
)
def test_what_is_no_layer(changes):
    with pytest.raises(ValueError, match=r".+"):
        dataclasses.replace(layer(), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": ()},
        {"measured_at": "yesterday"},
    ],
)
def test_what_are_no_feature_maps(changes):
    with pytest.raises((ValueError, TypeError)):
        feature_maps(**changes)


@pytest.mark.parametrize("changes", [{"seed": None}, {"weights": Weights(sha256="1" * 64)}])
def test_what_is_no_source(changes):
    with pytest.raises(ValueError, match="need weights, or else"):
        dataclasses.replace(FeatureSource(network=TINY, seed=0), **changes)
