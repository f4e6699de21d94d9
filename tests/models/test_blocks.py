"""Blocks with CNN designs, and the pieces that T2T-ViT's class is put together from."""

import numpy as np
import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from models.blocks import DenseBlock, GhostAttention, GhostMlp, SEAttention, SqueezeExcite
from tests.models.test_t2t_vit import tiny

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
        ({"block_type": "ghost", "num_heads": 5}, "5 heads do not divide a width of 32; choose others"),
        ({"block_type": "ghost", "embed_dim": 33, "num_heads": 3}, "embed_dim 33: .* even width"),
        ({"num_heads": 5}, "5 heads do not divide a width of 32; choose others"),
        ({**DENSE, "growth_rate": 7}, "2 heads|4 heads do not divide a width of 39"),
        ({"block_type": "dense", "depth": (2, 1)}, "growth_rate 0: dense blocks take a rate above 0"),
        ({"growth_rate": 8}, "growth_rate 8: plain blocks take none: 0"),
        ({"depth": 0}, "depth 0: plain blocks take their number"),
        ({**DENSE, "depth": ()}, r"depth \(\): dense blocks take the blocks of each stage"),
        ({**DENSE, "depth": (1,) * 13}, "dense blocks take up to 12 stages"),
        ({"distilled": True, "global_pool": "avg"}, "global_pool 'avg': the heads of a distilled .* choose 'token'"),
        ({"distilled": True, "global_pool": ""}, "global_pool '': the heads of a distilled"),
    ],
)
def test_pieces_that_do_not_go_together_get_a_clear_error(kwargs, message):
    with pytest.raises(ValueError, match=message):
        tiny(**kwargs)


def test_depth_may_be_any_whole_number():
    assert len(tiny(depth=np.int64(3)).blocks) == 3


def test_ghost_attention_takes_a_mask_and_dropout_as_timms_does():
    torch.manual_seed(0)
    layer, x = GhostAttention(8, num_heads=2, attn_drop=0.5, proj_drop=0.25).eval(), torch.randn(1, 3, 8)
    assert not torch.allclose(layer(x, is_causal=True)[:, 0], layer(x)[:, 0])
    assert (layer.attn_drop.p, layer.proj_drop.p) == (0.5, 0.25)
    assert not torch.equal(layer.train()(x), layer(x))


def test_ghost_mlp_drops_hidden_features_and_output():
    layer = GhostMlp(4, 12, drop=0.5).train()
    seen = []
    layer.drop.register_forward_hook(lambda _module, _inputs, y: seen.append(y))
    y = layer(torch.ones(1, 64, 4))
    hidden, out = seen
    assert hidden.shape == (1, 64, 12)
    assert out is y
    assert 0 < (hidden == 0).float().mean() < 1
    assert 0 < (out == 0).float().mean() < 1


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


def test_the_distillation_token_belongs_to_the_stem():
    net = tiny(distilled=True)
    groups = param_groups_layer_decay(net, layer_decay=0.5)
    names = {id(p): name for name, p in net.named_parameters()}
    scales = {names[id(p)]: group["lr_scale"] for group in groups for p in group["params"]}
    assert scales["dist_token"] == scales["cls_token"] == 0.125
    assert scales["head_dist.weight"] == scales["head.weight"] == 1


def test_tokens_begin_as_truncated_normals():
    net = tiny(distilled=True, embed_dim=1024, num_heads=4)
    for token in (net.cls_token, net.dist_token):
        assert token.detach().std() == pytest.approx(0.02, rel=0.15)


# Where it is built, and from what


@pytest.mark.parametrize("kwargs", [{}, {"positions": "learned"}, {"distilled": True}], ids=str)
def test_a_network_on_meta_is_wholly_there(kwargs):
    with torch.device("meta"):
        net = tiny(**kwargs)
        assert net(torch.empty(2, 3, 32, 32)).shape == (2, 5)
    assert {p.device.type for p in net.parameters()} == {"meta"}


def test_images_of_other_channels_get_a_clear_error():
    with pytest.raises(ValueError, match="1 image channels: this network was built with in_chans=3"):
        tiny()(torch.zeros(1, 1, 32, 32))
    assert tiny(in_chans=1)(torch.zeros(1, 1, 32, 32)).shape == (1, 5)


@pytest.mark.parametrize("model", ["t2t_vit_c_14", "t2t_vit_14_no_t2t", "vit_s_16", "t2t_vit_14", "t2t_vit_t_14"])
def test_pretrained_weights_fit_other_channels(model, tmp_path):
    args = {"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32, "num_classes": 5}
    saved = timm.create_model(model, **args)
    torch.save(saved.state_dict(), tmp_path / "saved.pth")
    overlay = {"file": str(tmp_path / "saved.pth"), "num_classes": 5}
    net = timm.create_model(model, in_chans=1, pretrained=True, pretrained_cfg_overlay=overlay, **args)
    assert net(torch.randn(1, 1, 32, 32)).shape == (1, 5)


def test_a_file_of_no_square_grid_gets_a_clear_error(tmp_path):
    torch.save(tiny(img_size=(16, 48)).state_dict(), tmp_path / "wide.pth")
    overlay = {"file": str(tmp_path / "wide.pth"), "num_classes": 5}
    with pytest.raises(ValueError, match="the other 3 are of no square grid"):
        tiny(pretrained=True, pretrained_cfg_overlay=overlay)


def test_an_export_at_the_networks_size_resizes_no_positions():
    graph = torch.export.export(tiny().eval(), (torch.zeros(1, 3, 32, 32),)).graph
    assert not [node for node in graph.nodes if "upsample" in str(node.target)]


def test_grad_checkpointing_reaches_features_too():
    net = tiny(features_only=True, out_indices=(0, 1), tokens_type="patch")
    runs = []
    net.model.blocks[0].register_forward_pre_hook(lambda *_: runs.append(1))
    net.model.set_grad_checkpointing(True)
    sum(m.sum() for m in net(torch.randn(1, 3, 32, 32))).backward()
    assert len(runs) == 2
