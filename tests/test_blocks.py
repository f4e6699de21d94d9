"""Blocks with CNN designs, and the pieces that T2T-ViT's class is put together from."""

import pytest
import timm
import torch
from timm.layers import set_fused_attn
from torch import nn

from models.blocks import DenseBlock, GhostAttention, GhostMlp, SEAttention, SqueezeExcite
from tests.test_t2t_vit import tiny

DENSE = {"block_type": "dense", "depth": (2, 1), "growth_rate": 8}


def test_squeeze_and_excitation_by_hand():
    torch.manual_seed(0)
    layer, x = SqueezeExcite(32), torch.randn(2, 5, 32)
    down, up = layer.fc[0].weight, layer.fc[2].weight
    gates = torch.sigmoid(torch.relu(x.mean(dim=1) @ down.T) @ up.T)
    torch.testing.assert_close(layer(x), x * gates[:, None])


def test_se_attention_gates_the_projection_ahead_of_its_dropout():
    torch.manual_seed(0)
    layer = SEAttention(32, num_heads=2, proj_drop=0.5)
    seen = {}
    layer.proj.register_forward_hook(lambda _module, _inputs, y: seen.update(proj=y))
    layer.se_drop.register_forward_pre_hook(lambda _module, inputs: seen.update(gated=inputs[0]))
    layer(torch.randn(2, 5, 32))
    torch.testing.assert_close(seen["gated"], layer.se_layer(seen["proj"]))
    assert layer.se_drop.p == 0.5


def test_ghost_mlp_by_hand():
    torch.manual_seed(0)
    layer, x = GhostMlp(4, 12), torch.randn(2, 3, 4)
    first = nn.functional.gelu(layer.fc1(x))
    ghosts = [
        nn.functional.gelu(first * op.weight.flatten()) for op in (layer.cheap_operation2, layer.cheap_operation3)
    ]
    torch.testing.assert_close(layer(x), layer.fc2(torch.cat((first, *ghosts), dim=2)))


def test_ghost_attention_by_hand():
    torch.manual_seed(0)
    layer, x = GhostAttention(8, num_heads=2), torch.randn(1, 3, 8)
    q, k, v = (
        torch.cat((half, half * getattr(layer, f"cheap_operation_{name}").weight.flatten()), dim=2)
        for name, half in ((name, getattr(layer, name)(x)) for name in "qkv")
    )
    heads = []
    for part in (slice(0, 4), slice(4, 8)):
        weights = (q[..., part] @ k[..., part].transpose(1, 2) / 4**0.5).softmax(dim=-1)
        heads.append(weights @ v[..., part])
    torch.testing.assert_close(layer(x), layer.proj(torch.cat(heads, dim=2)))


def test_dense_block_keeps_its_input_and_adds_features():
    torch.manual_seed(0)
    block, x = DenseBlock(8, growth_rate=4, num_heads=2), torch.randn(2, 3, 8)
    y = block(x)
    assert torch.equal(y[..., :8], x)
    assert y.shape == (2, 3, 12)


@pytest.mark.parametrize("kwargs", [{"block_type": "se"}, {"block_type": "ghost"}, DENSE], ids=str)
def test_fused_attention_changes_no_logit(kwargs):
    torch.manual_seed(0)
    fused = tiny(mlp_ratio=3.0, **kwargs).eval()
    set_fused_attn(False)
    try:
        plain = tiny(mlp_ratio=3.0, **kwargs).eval()
    finally:
        set_fused_attn(True)
    assert fused.blocks[0].attn.fused_attn
    assert not plain.blocks[0].attn.fused_attn
    plain.load_state_dict(fused.state_dict())
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(fused(image), plain(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"block_type": "sparse"}, "unknown block_type 'sparse'; choose from plain, se, ghost, dense"),
        (
            {"tokens_type": "pixel"},
            "unknown tokens_type 'pixel'; choose from performer, transformer, convolution, patch",
        ),
        ({"positions": "rotary"}, "unknown positions 'rotary'; choose from sinusoid, learned"),
        ({"block_type": "dense"}, r"depth 2: dense blocks take the blocks of each stage, as in \(3, 6, 6, 4\)"),
        ({"depth": (2, 2)}, r"depth \(2, 2\): plain blocks take their number, as in 14"),
        ({"block_type": "ghost", "mlp_ratio": 2.5}, "mlp_ratio 2.5: a Ghost MLP takes whole ratios, as in 3"),
        ({"block_type": "ghost", "num_heads": 5}, "embed_dim 32: .* 5 heads"),
        ({"distilled": True, "global_pool": "avg"}, "unknown global_pool 'avg'; choose from 'token', ''"),
    ],
)
def test_pieces_that_do_not_go_together_get_a_clear_error(kwargs, message):
    with pytest.raises(ValueError, match=message):
        tiny(**kwargs)


def test_dense_features_have_widths_of_their_own():
    net = tiny(**DENSE, features_only=True, out_indices=(0, 1, 2, 3))
    maps = net(torch.randn(1, 3, 32, 32))
    assert [m.shape[1] for m in maps] == net.feature_info.channels() == [40, 48, 24, 32]
    with pytest.raises(ValueError, match="norm=True"):
        tiny(**DENSE).forward_intermediates(torch.randn(1, 3, 32, 32), norm=True)


def test_grad_checkpointing_changes_no_gradient_of_dense_blocks():
    torch.manual_seed(0)
    net, image = tiny(**DENSE, tokens_type="patch"), torch.randn(2, 3, 32, 32)
    gradients = []
    for enable in (False, True):
        net.set_grad_checkpointing(enable)
        net.zero_grad()
        net(image).square().sum().backward()
        gradients.append([p.grad.clone() for p in net.parameters() if p.requires_grad])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


# Positions


def test_learned_positions_are_trained_and_resized():
    net = tiny(positions="learned")
    assert net.pos_embed.requires_grad
    assert net.pos_embed.detach().std() == pytest.approx(0.02, rel=0.3)
    net.set_input_size(64)
    assert net.pos_embed.shape == (1, 17, 32)
    assert net.pos_embed.requires_grad


# Distillation


def test_a_distilled_network_averages_its_heads_unless_it_is_distilled():
    torch.manual_seed(0)
    net, image = tiny(distilled=True), torch.randn(2, 3, 32, 32)
    features = net.eval().forward_features(image)
    assert features.shape == (2, 2 + 4, 32)
    both = net.head(features[:, 0]), net.head_dist(features[:, 1])
    torch.testing.assert_close(net(image), sum(both) / 2)
    torch.testing.assert_close(net.forward_head(features, pre_logits=True), features[:, :2].mean(dim=1))
    net.set_distilled_training()
    torch.testing.assert_close(net(image), sum(both) / 2)  # not in evaluation
    logits, distilled = net.train()(image)
    assert logits.shape == distilled.shape == (2, 5)
    assert not torch.equal(logits, distilled)


def test_both_heads_are_new_together():
    net = tiny(distilled=True)
    net.reset_classifier(7)
    assert net.get_classifier() == (net.head, net.head_dist)
    assert net.head.out_features == net.head_dist.out_features == 7
    net.reset_classifier(0, "")
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 6, 32)


def test_a_distilled_file_fits_another_resolution_and_head(tmp_path):
    saved = tiny(distilled=True)
    torch.save(saved.state_dict(), tmp_path / "distilled.pth")
    overlay = {"file": str(tmp_path / "distilled.pth"), "num_classes": 5, "classifier": ("head", "head_dist")}
    net = timm.create_model(
        "t2t_vit_7_distilled",
        embed_dim=32,
        depth=2,
        img_size=64,
        num_classes=3,
        pretrained=True,
        pretrained_cfg_overlay=overlay,
    )
    assert net.pos_embed.shape == (1, 2 + 16, 32)
    assert torch.equal(net.pos_embed[:, :2], saved.pos_embed[:, :2])
    assert torch.equal(net.dist_token, saved.dist_token)
    assert net(torch.randn(1, 3, 64, 64)).shape == (1, 3)


def test_weight_decay_skips_the_distillation_token():
    assert "dist_token" in tiny(distilled=True).no_weight_decay()
