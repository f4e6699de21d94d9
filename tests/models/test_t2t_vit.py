"""T2T-ViT: token counts, the authors' networks, and what timm's users expect of a model."""

import argparse
import hashlib
import json
import math
import zlib

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.data import resolve_model_data_config
from timm.layers import set_fused_attn
from timm.optim import param_groups_layer_decay, param_groups_weight_decay

from models import T2TModule, T2TViT
from models.positions import sinusoid_positions
from models.tokens import TokenTransformer
from tests.conftest import ROOT, mostly_extended

AUTHORS = json.loads((ROOT / "tests/golden/authors_code.json").read_text())
NAMES = list(AUTHORS)


def tiny(**kwargs):
    """A T2T-ViT small enough for any test."""
    return timm.create_model("t2t_vit_7", **{"embed_dim": 32, "depth": 2, "img_size": 32, "num_classes": 5} | kwargs)


def authors_weights(model):
    """The weights behind the golden logits, from each entry's name and shape alone."""
    filled = {}
    for name, value in model.state_dict().items():
        if name == "pos_embed":
            filled[name] = value
            continue
        noise = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(tuple(value.shape))
        mean = 1.0 if name.endswith(".weight") and value.ndim == 1 else 0.0  # norms
        filled[name] = torch.from_numpy((mean + 0.05 * noise).astype(np.float32))
    return filled


# Token counts


SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
"""kernel, stride, padding of the three soft splits"""


def eq_3(side, kernel, stride, padding):
    """Eq. 3 of the paper, for one axis; s is the overlap there."""
    s = kernel - stride
    return math.floor((side + 2 * padding - kernel) / (kernel - s) + 1)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 20).map(lambda n: 16 * n),
    width=st.integers(1, 20).map(lambda n: 16 * n),
    tokens_type=st.sampled_from(["performer", "transformer"]),
)
def test_token_counts_follow_eq_3(height, width, tokens_type):
    module = T2TModule(embed_dim=8, tokens_type=tokens_type, token_dim=4).to("meta")
    counts = []
    for split in (module.soft_split0, module.soft_split1, module.soft_split2):
        split.register_forward_hook(lambda _module, _inputs, y: counts.append(y.shape[2]))
    tokens = module(torch.empty(1, 3, height, width, device="meta"))
    expected, h, w = [], height, width
    for split in SPLITS:
        h, w = eq_3(h, *split), eq_3(w, *split)
        expected.append(h * w)
    assert counts == expected
    assert tokens.shape == (1, expected[-1], 8)


def test_convolutions_in_the_modules_place_have_the_splits_geometry():
    module = timm.create_model("t2t_vit_c_14", embed_dim=8, depth=1, num_heads=1).tokens_to_token
    convs = (module.soft_split0, module.soft_split1, module.project)
    assert [(c.kernel_size[0], c.stride[0], c.padding[0]) for c in convs] == list(SPLITS)
    assert [c.out_channels for c in convs] == [64, 64, 8]


def test_224_px_gives_the_papers_token_counts():
    side, sides = 224, []
    for split in SPLITS:
        side = eq_3(side, *split)
        sides.append(side)
    assert sides == [56, 28, 14]
    assert timm.create_model("t2t_vit_7").pos_embed.shape[1] == 14 * 14 + 1


@given(side=st.integers(1, 400).filter(lambda n: n % 16))
def test_other_sizes_get_a_clear_error(side):
    with pytest.raises(ValueError, match=rf"{side}.*divisible by 16.* use \d+ or \d+"):
        T2TModule(embed_dim=8)(torch.zeros(1, 3, side, 32))
    with pytest.raises(ValueError, match="divisible by 16"):
        T2TViT(img_size=side, embed_dim=8, depth=1, num_heads=1)


@pytest.mark.parametrize("img_size", ["32", 32.0, (32,), (32, 32, 3)])
def test_an_img_size_that_is_none_gets_a_clear_error(img_size):
    with pytest.raises(ValueError, match="give a side in pixels or"):
        tiny(img_size=img_size)


@pytest.mark.parametrize("img_size", [np.int64(48), [48, 32], (48, 32), torch.Size([48, 32])])
def test_img_size_may_be_any_whole_number_or_pair(img_size):
    net = T2TViT(img_size=img_size, embed_dim=8, depth=1, num_heads=1)
    assert net.grid_size == ((3, 3) if isinstance(img_size, np.int64) else (3, 2))


def test_forward_takes_any_size_divisible_by_16():
    net = tiny().eval()
    assert net(torch.randn(2, 3, 48, 96)).shape == (2, 5)
    assert net(torch.randn(2, 3, 16, 16)).shape == (2, 5)


# The authors' networks


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_is_the_authors(name):
    with torch.device("meta"):
        entries = timm.create_model(name).state_dict()
    lines = "\n".join(f"{key} {tuple(value.shape)}" for key, value in sorted(entries.items()))
    assert len(entries) == AUTHORS[name]["entries"]
    assert hashlib.sha256(lines.encode()).hexdigest() == AUTHORS[name]["state_dict_sha256"]


STRUCTURES = {  # embed, depth, heads, MLP ratio: heads show in no shape
    "t2t_vit_7": (256, 7, 4, 2),
    "t2t_vit_10": (256, 10, 4, 2),
    "t2t_vit_12": (256, 12, 4, 2),
    "t2t_vit_14": (384, 14, 6, 3),
    "t2t_vit_19": (448, 19, 7, 3),
    "t2t_vit_24": (512, 24, 8, 3),
    "t2t_vit_t_14": (384, 14, 6, 3),
    "t2t_vit_t_19": (448, 19, 7, 3),
    "t2t_vit_t_24": (512, 24, 8, 3),
    "t2t_vit_14_resnext": (384, 14, 32, 3),
    "t2t_vit_14_se": (384, 14, 6, 3),
    "t2t_vit_14_wide": (768, 4, 12, 3),
    "t2t_vit_14_wide_no_t2t": (768, 4, 12, 3),
    "t2t_vit_16_ghost": (384, 16, 6, 3),
    "t2t_vit_7_distilled": (256, 7, 4, 2),
    "t2t_vit_12_distilled": (256, 12, 4, 2),
    "t2t_vit_14_no_t2t": (384, 14, 6, 3),
    "t2t_vit_c_14": (384, 14, 6, 3),
    "vit_s_16": (768, 8, 8, 3),
    "vit_s_16_se": (768, 8, 8, 3),
    "vit_s_16_resnext": (768, 8, 32, 3),
    "vit_s_16_ghost": (768, 8, 8, 3),
    "vit_dn": (384, 16, 6, 3),
    "vit_sw": (1024, 4, 16, 3.5),
}
TRANSFORMER = {"t2t_vit_t_14", "t2t_vit_t_19", "t2t_vit_t_24"}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure_is_the_papers(name):
    with torch.device("meta"):
        net = timm.create_model(name)
    embed, depth, heads, ratio = STRUCTURES[name]
    assert (net.embed_dim, net.num_features, len(net.blocks)) == (embed, embed, depth)
    for block in net.blocks:
        assert block.attn.num_heads == heads
        assert block.attn.scale == (embed / heads) ** -0.5
        assert block.mlp.fc2.in_features == ratio * embed
    inside = getattr(net.tokens_to_token, "attention1", None)
    assert isinstance(inside, TokenTransformer) == (name in TRANSFORMER)
    assert hasattr(net, "head_dist") == name.endswith("distilled")


@pytest.mark.parametrize(
    ("name", "stages", "width", "last", "ratio"),
    [("t2t_vit_dense", (3, 6, 6, 4), 128, 584, 2), ("vit_dense", (6, 7, 6), 128, 736, 4)],
)
def test_dense_structure_is_the_papers(name, stages, width, last, ratio):
    with torch.device("meta"):
        net = timm.create_model(name, drop_path_rate=0.11)
    entries = iter(net.blocks)
    for stage, depth in enumerate(stages):
        for _ in range(depth):
            block = next(entries)
            assert (block.norm1.normalized_shape, block.mlp.fc1.out_features) == ((width,), ratio * width)
            assert (block.attn.num_heads, block.attn.scale) == (8, (width / 8) ** -0.5)
            # the authors' schedule, read at the index of the stage
            assert getattr(block.drop_path1, "drop_prob", 0.0) == pytest.approx(0.01 * stage)
            width += block.dense_linear.out_features
        if stage < len(stages) - 1:
            assert next(entries).linear.weight.shape == (width // 2, width)
            width //= 2
    assert next(entries, None) is None
    assert width == net.num_features == net.head.in_features == last
    # of the paper's own ViT these two are fitted
    assert (net.blocks[0].attn.qkv.bias is not None) == net.pos_embed.requires_grad == (name == "vit_dense")
    assert [info["num_chs"] for info in net.feature_info][-1] == last


@pytest.mark.parametrize(
    "name", mostly_extended([name for name in NAMES if "logits" in AUTHORS[name]], "t2t_vit_7", "t2t_vit_t_14")
)
def test_logits_are_the_authors(name):
    net = timm.create_model(name).eval()
    net.load_state_dict(authors_weights(net), strict=True)
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, 224, 224)).astype(np.float32))
    with torch.no_grad():
        logits = net(image)[0, :8]
    torch.testing.assert_close(logits, torch.tensor(AUTHORS[name]["logits"]), rtol=0, atol=2e-5)


def test_positions_are_the_sinusoid_table():
    table = sinusoid_positions(5, 6)[0]
    for p in range(5):
        for j in range(6):
            angle = p / 10000 ** (2 * (j // 2) / 6)
            expected = math.sin(angle) if j % 2 == 0 else math.cos(angle)
            assert table[p, j].item() == pytest.approx(expected, abs=1e-7)
    net = tiny()
    assert torch.equal(net.pos_embed, sinusoid_positions(5, 32))
    assert not net.pos_embed.requires_grad


@pytest.fixture
def official_file(tmp_path):
    """A file in the authors' format: EMA weights beside the last ones, DataParallel prefix, arguments pickled."""
    net = tiny()
    ema = {f"module.{key}": value for key, value in net.state_dict().items()}
    path = tmp_path / "tiny.pth.tar"
    last = {key: torch.zeros_like(value) for key, value in ema.items()}
    args = argparse.Namespace(model="t2t_vit_7", lr=5e-4)
    torch.save({"epoch": 299, "arch": "t2t_vit_7", "state_dict": last, "state_dict_ema": ema, "args": args}, path)
    return path, net.eval()


def test_an_official_file_loads_strictly(official_file):
    path, saved = official_file
    image = torch.randn(2, 3, 32, 32)
    loaded = tiny(checkpoint_path=str(path)).eval()
    assert torch.equal(loaded(image), saved(image))


def test_an_official_file_fits_another_resolution_and_head(official_file):
    path, saved = official_file
    overlay = {"file": str(path), "num_classes": 5}
    loaded = tiny(img_size=64, num_classes=3, pretrained=True, pretrained_cfg_overlay=overlay).eval()
    assert loaded.pos_embed.shape[1] == 17
    grid = saved.pos_embed[:, 1:].reshape(1, 2, 2, 32).permute(0, 3, 1, 2)
    resized = torch.nn.functional.interpolate(grid, size=(4, 4), mode="bicubic")  # as the authors do it
    torch.testing.assert_close(loaded.pos_embed[:, 1:], resized.flatten(2).transpose(1, 2))
    assert torch.equal(loaded.pos_embed[:, :1], saved.pos_embed[:, :1])
    assert torch.equal(loaded.blocks[1].mlp.fc1.weight, saved.blocks[1].mlp.fc1.weight)
    assert loaded(torch.randn(1, 3, 64, 64)).shape == (1, 3)


def test_positions_of_a_file_that_fits_are_left_alone(tmp_path):
    saved = tiny(img_size=(16, 64)).eval()  # four tokens in a row, not two by two
    torch.save({"state_dict": saved.state_dict()}, tmp_path / "wide.pth")
    overlay = {"file": str(tmp_path / "wide.pth"), "num_classes": 5}
    loaded = tiny(img_size=(16, 64), pretrained=True, pretrained_cfg_overlay=overlay).eval()
    assert torch.equal(loaded.pos_embed, saved.pos_embed)


def test_weights_that_nobody_has_are_an_error():
    with pytest.raises(RuntimeError, match="No pretrained weights exist for t2t_vit_7"):
        tiny(pretrained=True)


# What timm's users expect


def test_create_model_with_the_usual_arguments():
    net = timm.create_model("t2t_vit_14", num_classes=10, img_size=384, drop_path_rate=0.1)
    assert net.head.out_features == net.num_classes == 10
    assert net.pos_embed.shape == (1, 24 * 24 + 1, 384)
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in net.blocks]
    assert rates == pytest.approx([0.1 * i / 13 for i in range(14)])


@pytest.mark.parametrize("name", NAMES)
def test_timm_resolves_the_evaluation_protocol(name):
    with torch.device("meta"):
        config = resolve_model_data_config(timm.create_model(name))
    assert (config["crop_pct"], config["interpolation"], config["input_size"]) == (0.9, "bicubic", (3, 224, 224))
    assert (config["mean"], config["std"]) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_dropout_rates_reach_their_layers():
    net = tiny(drop_rate=0.1, attn_drop_rate=0.2)
    assert net.pos_drop.p == net.blocks[0].attn.proj_drop.p == net.blocks[0].mlp.drop1.p == 0.1
    assert net.blocks[0].attn.attn_drop.p == 0.2


def test_layers_are_grouped_for_layer_wise_learning_rates():
    net = tiny()
    groups = param_groups_layer_decay(net, weight_decay=0.05, layer_decay=0.5, no_weight_decay_list=["cls_token"])
    names = {id(p): name for name, p in net.named_parameters()}
    scales = {names[id(p)]: group["lr_scale"] for group in groups for p in group["params"]}
    assert scales["cls_token"] == scales["tokens_to_token.project.weight"] == 0.125
    assert scales["blocks.0.attn.qkv.weight"] == 0.25
    assert scales["blocks.1.attn.qkv.weight"] == 0.5
    assert scales["norm.weight"] == 0.5
    assert scales["head.weight"] == 1.0


def test_features_and_head():
    net = tiny().eval()
    image = torch.randn(2, 3, 32, 32)
    features = net.forward_features(image)
    assert features.shape == (2, 1 + 4, 32)
    assert torch.equal(net.forward_head(features, pre_logits=True), features[:, 0])
    assert torch.equal(net.forward_head(features), net(image))
    assert torch.equal(net.get_classifier()(features[:, 0]), net(image))


def test_reset_classifier():
    net = tiny().eval()
    image = torch.randn(2, 3, 32, 32)
    net.reset_classifier(7)
    assert net(image).shape == (2, 7)
    net.reset_classifier(0, "avg")
    torch.testing.assert_close(net(image), net.forward_features(image)[:, 1:].mean(dim=1))
    net.reset_classifier(0, "")
    assert net(image).shape == (2, 5, 32)
    with pytest.raises(ValueError, match=r"global_pool 'max'; choose from 'token', 'avg', ''"):
        net.reset_classifier(3, "max")


def test_set_input_size_resizes_positions():
    net = tiny().eval()
    image = torch.randn(1, 3, 64, 48)
    expected = net(image)  # resized on the fly
    net.set_input_size((64, 48))
    assert net.pos_embed.shape == (1, 1 + 4 * 3, 32)
    torch.testing.assert_close(net(image), expected)
    assert not net.pos_embed.requires_grad


def test_weight_decay_skips_tokens_biases_and_norms():
    net = tiny()
    assert net.no_weight_decay() >= {"cls_token"}
    names = {id(p): name for name, p in net.named_parameters()}
    free, decayed = param_groups_weight_decay(net, 0.05, no_weight_decay_list=net.no_weight_decay())
    assert free["weight_decay"] == 0
    assert "cls_token" in {names[id(p)] for p in free["params"]}
    assert all(p.ndim > 1 for p in decayed["params"])


def test_grad_checkpointing_changes_no_gradient():
    torch.manual_seed(0)
    net, image = tiny(), torch.randn(2, 3, 32, 32)
    gradients = []
    for enable in (False, True):
        net.set_grad_checkpointing(enable)
        net.zero_grad()
        torch.manual_seed(1)  # the Performer's dropouts
        net(image).square().sum().backward()
        gradients.append([p.grad.clone() for p in net.parameters() if p.requires_grad])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


@pytest.mark.parametrize("tokens_type", ["performer", "transformer"])
def test_every_parameter_gets_a_gradient(tokens_type):
    torch.manual_seed(0)
    net = tiny(tokens_type=tokens_type)
    net(torch.randn(2, 3, 32, 32)).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
        assert p.grad.any(), name


def test_token_transformer_passes_gradcheck():
    torch.manual_seed(0)
    set_fused_attn(False)
    try:
        layer = TokenTransformer(6, 4).double()
    finally:
        set_fused_attn(True)
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"tokens_type": "transformer"},
        {"block_type": "se"},
        {"block_type": "ghost"},
        {"block_type": "dense", "depth": (2, 1), "growth_rate": 8},
    ],
    ids=str,
)
def test_fused_attention_changes_no_logit(kwargs):
    torch.manual_seed(0)
    fused = tiny(**kwargs).eval()
    set_fused_attn(False)
    try:
        plain = tiny(**kwargs).eval()
    finally:
        set_fused_attn(True)
    assert fused.blocks[0].attn.fused_attn
    assert not plain.blocks[0].attn.fused_attn
    plain.load_state_dict(fused.state_dict())
    image = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(fused(image), plain(image), rtol=1e-4, atol=1e-5)


def test_features_only():
    net = tiny(features_only=True, out_indices=(0, 1))
    maps = net(torch.randn(2, 3, 32, 48))
    assert [m.shape for m in maps] == [(2, 32, 2, 3)] * 2
    assert net.feature_info.channels() == [32, 32]


def test_forward_intermediates():
    net, image = tiny().eval(), torch.randn(2, 3, 32, 32)
    final, maps = net.forward_intermediates(image, norm=True)
    assert torch.equal(final, net.forward_features(image))
    torch.testing.assert_close(maps[-1].flatten(2).transpose(1, 2), final[:, 1:])
    ((tokens, prefix),) = net.forward_intermediates(
        image, indices=[0], return_prefix_tokens=True, output_fmt="NLC", stop_early=True, intermediates_only=True
    )
    assert tokens.shape == (2, 4, 32)
    assert prefix.shape == (2, 1, 32)
    with pytest.raises(ValueError, match="output_fmt 'NHWC'"):
        net.forward_intermediates(image, output_fmt="NHWC")


def test_unknown_tokens_type_is_named():
    with pytest.raises(ValueError, match="tokens_type 'conv'; choose from performer, transformer"):
        tiny(tokens_type="conv")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_training_step_is_finite(dtype):
    torch.manual_seed(0)
    net = tiny()
    with torch.autocast("cpu", dtype):
        loss = net(torch.randn(2, 3, 32, 32) * 10).float().square().mean()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.requires_grad)


def test_export():
    net, image = tiny().eval(), torch.randn(2, 3, 32, 32)
    exported = torch.export.export(net, (image,)).module()
    torch.testing.assert_close(exported(image), net(image))
