"""The layers of a network, read off it and kept."""

import dataclasses
import json

import pytest

import bench.measure.outline
from bench.measure.collect import outline_of
from bench.measure.outline import is_current, read_outline
from bench.results.codec import sealed
from bench.results.measurement import LayerShape
from bench.results.store import load_outline, outline_path, save_outline
from bench.spec.errors import RequestError
from bench.spec.run import Network
from models import T2TViT

SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
"""kernel, stride and padding as the paper has them"""


def eq_3(side, kernel, stride, padding):
    """Tokens an axis by the paper's Eq. 3, with the overlap for s."""
    return int((side + 2 * padding - kernel) / (kernel - (kernel - stride)) + 1)


@pytest.mark.parametrize("img_size", [96, 224, 384])
def test_soft_splits_follow_eq_3(img_size):
    outline = read_outline(Network("t2t_vit_7", img_size=img_size))
    side, channels = img_size, 3
    for i, (kernel, stride, padding) in enumerate(SPLITS):
        split = outline[f"tokens_to_token.soft_split{i}"]
        assert split.settings == {"kernel": kernel, "stride": stride, "padding": padding}
        assert split.inputs == (channels, side, side)
        side = eq_3(side, kernel, stride, padding)
        assert split.output == (channels * kernel**2, side**2)
        channels = 64
    assert side == img_size // 16
    assert outline["tokens_to_token"].output == (side**2, 256)
    assert outline["tokens_to_token.attention2"].inputs == (4 * side**2, 576)
    assert outline["tokens_to_token.attention2"].output == (4 * side**2, 64)
    performer = outline["tokens_to_token.attention1"]
    assert performer.params - performer.trainable_params == 32 * 64  # its random directions
    assert outline["pos_embed"].output == (side**2 + 1, 256)
    assert [block.output for block in outline.blocks] == [(side**2 + 1, 256)] * 7
    assert outline["head"] == LayerShape(
        name="head", kind="Linear", inputs=(256,), output=(1000,), params=257_000, trainable_params=257_000
    )


@pytest.mark.parametrize("model", ["t2t_vit_14", "t2t_vit_7_distilled", "t2t_vit_16_ghost", "t2t_vit_dense"])
def test_the_outermost_layers_hold_every_parameter(model):
    outline = read_outline(Network(model))
    assert sum(layer.params for layer in outline.layers if "." not in layer.name) == outline.params
    assert outline["pos_embed"].trainable_params == 0
    inside = {layer.name.split(".")[1] for layer in outline.layers if layer.name.count(".") > 1}
    assert {name for name in inside if name.isdecimal()} == {"0"}


def test_a_ghost_block_is_half_cheap():
    ghost = read_outline(Network("t2t_vit_16_ghost"))
    assert len(ghost.blocks) == 16
    for name in "qkv":
        assert ghost[f"blocks.0.attn.{name}"].output == (197, 192)
        cheap = ghost[f"blocks.0.attn.cheap_operation_{name}"]
        assert (cheap.output, cheap.params, cheap.settings["groups"]) == ((192, 197), 192, 192)
    assert ghost["blocks.0.attn"].settings == {"heads": 6}
    assert ghost["blocks.0.mlp.fc2"].inputs == (197, 1152)
    assert "blocks.0.attn.qkv" not in ghost
    with pytest.raises(KeyError, match=r"t2t_vit_16_ghost has no layer 'blocks\.0\.attn\.qkv'"):
        ghost["blocks.0.attn.qkv"]


def test_layers_are_those_of_a_network_that_computes():
    """On the meta device as in a real forward pass."""
    import torch

    outline = read_outline(Network("t2t_vit_7", img_size=32))
    network = T2TViT(img_size=32, embed_dim=256, depth=7, num_heads=4, mlp_ratio=2).eval()
    seen = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: tuple(output.shape[1:])}))
    with torch.no_grad():
        network(torch.zeros(1, 3, 32, 32))
    shown = {layer.name: layer.output for layer in outline.layers if layer.kind != "Parameter"}
    assert shown == {name: seen[name] for name in shown}


def test_no_such_network():
    with pytest.raises(RequestError, match="unknown model 't2t_vit_15'"):
        read_outline(Network("t2t_vit_15"))


SEVEN = Network("t2t_vit_7", img_size=32)


@pytest.fixture
def kept(tmp_path):
    """A runs folder with an outline, and the outline."""
    return tmp_path, outline_of(SEVEN, tmp_path)


def test_an_outline_comes_back_as_it_was_saved(kept):
    runs, outline = kept
    assert outline_path(runs, SEVEN).name == "t2t_vit_7-32px.json"
    assert load_outline(runs, SEVEN) == outline
    assert load_outline(runs, Network("t2t_vit_7")) is None


def test_what_is_kept_is_not_read_again(kept, monkeypatch):
    monkeypatch.setattr(bench.measure.outline, "read_outline", None)
    assert outline_of(SEVEN, kept[0]) == kept[1]


def reseal(text, **changes):
    values = {name: value for name, value in json.loads(text).items() if name != "checksum"}
    return sealed(values | changes)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:100],
        lambda text: "[]",
        lambda text: text.replace("64", "65"),  # edited
        lambda text: reseal(text, params="many"),
        lambda text: reseal(text, layers=[]),
        lambda text: reseal(text, layers=None),
        lambda text: reseal(text, layers=[{"name": "head"}]),
        lambda text: reseal(text, layers=[{**json.loads(text)["layers"][0], "output": [-1]}]),
        lambda text: reseal(text, layers=[{**json.loads(text)["layers"][0], "trainable_params": 10**9}]),
        lambda text: reseal(text, layers=[{**json.loads(text)["layers"][0], "kind": 5}]),
        lambda text: reseal(text, versions={"torch": 2}),
        lambda text: reseal(text, measured_at="yesterday"),
        lambda text: reseal(text, extra=1),
        lambda text: text.replace("checksum", "sum"),
    ],
)
def test_a_damaged_outline_is_named_and_read_again(kept, capsys, damage):
    runs, outline = kept
    path = outline_path(runs, SEVEN)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=r"t2t_vit_7-32px\.json"):
        load_outline(runs, SEVEN)
    again = outline_of(SEVEN, runs)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"run_all.py: read again: {path}: ")
    assert again.layers == outline.layers
    assert load_outline(runs, SEVEN) == again


@pytest.mark.parametrize("change", [{"source_sha256": "0" * 64}, {"versions": {"torch": "1.0", "timm": "0.4"}}])
def test_one_of_other_code_or_libraries_is_read_again(kept, change):
    runs, outline = kept
    assert is_current(outline)
    old = dataclasses.replace(outline, **change)
    assert not is_current(old)
    save_outline(runs, old)
    assert is_current(outline_of(SEVEN, runs))


def test_a_library_that_is_not_installed_contradicts_nothing(kept, monkeypatch):
    monkeypatch.setattr(bench.measure.outline, "_LIBRARIES", ("torch", "timm", "no-such-library"))
    assert is_current(kept[1])
