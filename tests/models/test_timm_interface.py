"""What timm's own networks do beyond a forward pass: graphs, features, devices and types, thawing."""

import pytest
import timm
import torch
from timm.layers import create_feature_extractor as timms_extractor
from timm.models import get_model_input_config
from timm.utils import freeze, unfreeze
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

import models  # noqa: F401  (registers with timm)
from models.positions import sinusoid_positions
from models.weights import named_weights

DENSE = {"depth": (1, 1), "growth_rate": 8, "block_type": "dense", "embed_dim": 32, "num_heads": 2, "mlp_ratio": 2.0}
KINDS = {
    "performer": {},
    "transformer": {"tokens_type": "transformer"},
    "convolution": {"tokens_type": "convolution"},
    "patch": {"tokens_type": "patch", "positions": "learned", "qkv_bias": True},
    "se": {"block_type": "se"},
    "ghost": {"block_type": "ghost"},
    "dense": DENSE,
    "distilled": {"distilled": True},
}


def tiny(kind="performer", **kwargs):
    """A small network of one kind."""
    torch.manual_seed(0)
    args = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32, "num_classes": 5}
    return timm.create_model("t2t_vit_7", **args | KINDS[kind] | kwargs)


# Graphs of torch.fx


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extractor", [create_feature_extractor, timms_extractor])
def test_a_graph_gives_features_at_any_resolution(kind, extractor):
    net = tiny(kind).eval()
    graph = extractor(net, {"blocks.0": "first", "head": "logits"})
    for side in (32, 64):
        image = torch.randn(2, 3, side, side)
        with torch.no_grad():
            found = graph(image)
            (expected,) = net.get_intermediate_layers(image, [0], return_prefix_tokens=True)
        torch.testing.assert_close(found["first"], torch.cat(expected[::-1], dim=1))
        assert found["logits"].shape == (2, 5)


@pytest.mark.parametrize("extractor", [create_feature_extractor, timms_extractor])
def test_a_graph_checks_its_images(extractor):
    graph = extractor(tiny(), ["head"])
    with pytest.raises(ValueError, match="divisible by 16"):
        graph(torch.zeros(1, 3, 40, 32))
    with pytest.raises(ValueError, match="built with in_chans=3"):
        graph(torch.zeros(1, 1, 32, 32))


def test_autocast_leaves_a_performer_alone_in_timms_graphs():
    net = tiny().eval()
    nodes = ["tokens_to_token.attention1", "head"]
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found, plain = timms_extractor(net, nodes)(image), create_feature_extractor(net, ["head"])(image)
        expected = net.tokens_to_token.attention1(net.tokens_to_token.soft_split0(image).transpose(1, 2))
    assert torch.equal(found[nodes[0]], expected)
    assert plain["head"].isfinite().all()


def test_features_only_by_graph():
    net = timm.create_model("t2t_vit_7", features_only=True, feature_cls="fx", out_indices=(0, 2), img_size=32)
    assert [feature.shape for feature in net(torch.zeros(1, 3, 32, 32))] == [(1, 5, 256)] * 2


# Features


def test_intermediate_layers_are_forward_intermediates():
    net, image = tiny().eval(), torch.randn(2, 3, 32, 48)
    maps = net.forward_intermediates(image, intermediates_only=True, norm=True)
    for found, expected in zip(net.get_intermediate_layers(image, n=2, reshape=True, norm=True), maps, strict=True):
        assert torch.equal(found, expected)
    (tokens,) = net.get_intermediate_layers(image)
    assert tokens.shape == (2, 6, 32)


def test_features_as_a_dictionary():
    net, image = tiny("distilled").eval(), torch.randn(2, 3, 32, 32)
    final, maps = net.forward_intermediates(image)
    found = net.forward_intermediates(image, output_dict=True, return_prefix_tokens=True)
    assert torch.equal(found["image_features"], final)
    assert all(map(torch.equal, found["image_intermediates"], maps))
    assert [prefix.shape for prefix in found["image_intermediates_prefix"]] == [(2, 2, 32)] * 2
    only = net.forward_intermediates(image, output_dict=True, intermediates_only=True)
    assert only.keys() == {"image_intermediates"}


@pytest.mark.parametrize("kind", ["performer", "se", "dense"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_masks_reach_attention(kind, checkpointing):
    net, image = tiny(kind).eval(), torch.randn(2, 3, 32, 32)
    net.set_grad_checkpointing(checkpointing)
    everything = torch.ones(5, 5, dtype=torch.bool)
    expected = net.forward_features(image)
    torch.testing.assert_close(net.forward_features(image, attn_mask=everything), expected)
    causal = net.forward_features(image, is_causal=True)
    torch.testing.assert_close(net.forward_features(image, attn_mask=everything.tril()), causal)
    assert not torch.allclose(causal[:, 0], expected[:, 0])
    final, _ = net.forward_intermediates(image, is_causal=True)
    torch.testing.assert_close(final, causal)


def test_a_pruned_dense_network_ends_at_its_last_feature():
    net, image = tiny("dense").eval(), torch.randn(2, 3, 32, 32)
    (expected,) = net.forward_intermediates(image, indices=[0], intermediates_only=True, output_fmt="NLC")
    net.prune_intermediate_layers([0], prune_head=False)
    torch.testing.assert_close(net.forward_features(image)[:, 1:], expected)
    net.reset_classifier(3, "avg")
    torch.testing.assert_close(net(image), net.head(expected.mean(dim=1)))


def test_a_new_resolution_is_known_to_timm():
    net = tiny()
    net.set_input_size((64, 48))
    assert get_model_input_config(net)["input_size"] == (3, 64, 48)


# Weights


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_on_the_device_and_of_the_type_asked_for(kind):
    net = tiny(kind, device="meta", dtype=torch.bfloat16)
    assert {(w.device.type, w.dtype) for _, w in named_weights(net)} == {("meta", torch.bfloat16)}
    net = tiny(kind, dtype=torch.bfloat16).eval()
    with torch.no_grad():
        logits = net(torch.randn(2, 3, 32, 32, dtype=torch.bfloat16))
    assert logits.dtype == torch.bfloat16
    assert logits.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_meta_tensors_is_initialized_later(kind):
    net = tiny(kind, device="meta", dtype=torch.float64).to_empty(device="cpu").eval()
    for _, weight in named_weights(net):
        nn.init.constant_(weight, torch.nan)
    net.init_weights()
    drawn = tiny(kind, dtype=torch.float64)
    for (name, weight), (_, expected) in zip(named_weights(net), named_weights(drawn), strict=True):
        assert weight.isfinite().all(), name
        if weight.numel() >= 256:
            torch.testing.assert_close(weight.std(), expected.std(), rtol=0.2, atol=0)
    if kind == "performer":
        assert torch.equal(net.pos_embed.float(), sinusoid_positions(5, 32))
        directions = net.tokens_to_token.attention2.w
        torch.testing.assert_close(directions @ directions.T, 32 * torch.eye(32, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_thawing_leaves_fixed_tables_alone(kind):
    net = tiny(kind)
    freeze(net)
    assert not any(p.requires_grad for p in net.parameters())
    unfreeze(net)
    net.requires_grad_(True)
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    fixed = {name for name, weight in named_weights(net) if not weight.requires_grad}
    assert fixed == {
        *({"pos_embed"} if kind != "patch" else ()),
        *(name for name in net.state_dict() if name.endswith(".w")),
    }
    assert ("pos_embed" in net.no_weight_decay()) == (kind == "patch")


def test_a_new_head_is_in_the_networks_mode():
    net = tiny("distilled").eval()
    net.reset_classifier(3)
    assert not any(module.training for module in net.modules())
