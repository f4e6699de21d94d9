"""The authors' files: whole and damaged, of the right network and of another, honest and malicious."""

import argparse
import hashlib
import os
import pickle
import random
import types
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.models import adapt_input_conv

from models.checkpoints import (
    Checkpoint,
    CheckpointError,
    Fit,
    head_parameters,
    img_size,
    load_into,
    misfit,
    networks_of,
    read_checkpoint,
)
from tests.conftest import mostly_extended
from tests.models.test_t2t_vit import AUTHORS, authors_weights, tiny


def save(path, net, *, key="state_dict_ema", prefix="module.", decoy=True, **beside):
    """A file in the authors' format, other weights under ``state_dict`` beside the averaged ones, which count."""
    weights = {prefix + name: value for name, value in net.state_dict().items()}
    args = argparse.Namespace(model="t2t_vit_7", lr=5e-4, aa=None, betas=[0.9, 0.999])
    decoy = decoy and key == "state_dict_ema"
    others = {"state_dict": {k: torch.zeros_like(v) for k, v in weights.items()}} if decoy else {}
    torch.save({**others, key: weights, "args": args, "epoch": 299, "acc": 98.3, **beside}, path)
    return path


@pytest.mark.parametrize("name", mostly_extended([n for n in AUTHORS if "logits" in AUTHORS[n]], "t2t_vit_7"))
def test_a_file_of_the_authors_gives_their_logits(name, tmp_path):
    net = timm.create_model(name)
    net.load_state_dict(authors_weights(net))
    path = save(tmp_path / "file.pth.tar", net, decoy=name == "t2t_vit_7")  # which doubles the file
    fresh = timm.create_model(name).eval()
    checkpoint = read_checkpoint(path)
    assert checkpoint.key == "state_dict_ema"
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    fit = load_into(fresh, checkpoint)
    assert fit.resized == fit.left_out == ()
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, 224, 224)).astype(np.float32))
    with torch.no_grad():
        logits = fresh(image)[0, :8]
    torch.testing.assert_close(logits, torch.tensor(AUTHORS[name]["logits"]), rtol=0, atol=1e-4)
    assert name in networks_of(checkpoint)


def test_every_network_that_was_released_has_the_authors_logits():
    released = "7 10 12 14 19 24 t_14 t_19 t_24".split()
    assert {f"t2t_vit_{name}" for name in released} <= {name for name in AUTHORS if "logits" in AUTHORS[name]}


@pytest.mark.parametrize("name", ["t2t_vit_7", "t2t_vit_19", "t2t_vit_t_14", "vit_dn", "t2t_vit_dense"])
@pytest.mark.parametrize("arguments", [{}, {"img_size": 384, "num_classes": 10}], ids=["224", "384, 10 classes"])
def test_a_network_is_known_by_its_weights(name, arguments):
    with torch.device("meta"):
        weights = timm.create_model(name, **arguments).state_dict()
    assert networks_of(Checkpoint(path="", weights=weights, key="")) == [name]


@pytest.mark.parametrize("key", ["state_dict_ema", "state_dict", "net", "model"])
@pytest.mark.parametrize("prefix", ["module.", ""])
def test_weights_are_found_wherever_they_lie(key, prefix, tmp_path):
    net = tiny()
    checkpoint = read_checkpoint(save(tmp_path / "file.pth", net, key=key, prefix=prefix))
    assert checkpoint.key == key
    assert checkpoint.weights.keys() == net.state_dict().keys()
    assert torch.equal(checkpoint.weights["head.weight"], net.head.weight)


def test_safetensors_are_read_too_and_damaged_ones_named(tmp_path):
    net, path = tiny(), tmp_path / "file.safetensors"
    save_file(net.state_dict(), path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.key == ""
    assert torch.equal(checkpoint.weights["head.weight"], net.head.weight)
    for content in (path.read_bytes()[:-1], path.read_bytes()[:5], b"", pickle.dumps({})):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"file\.safetensors: not a whole checkpoint .*fetch it again"):
            read_checkpoint(path)


def test_weights_from_before_batch_norm_counted_its_batches_fit(tmp_path):
    saved = timm.create_model("resnet18").state_dict()
    torch.save({k: v for k, v in saved.items() if not k.endswith("num_batches_tracked")}, tmp_path / "old.pth")
    net = timm.create_model("resnet18")
    load_into(net, read_checkpoint(tmp_path / "old.pth"))
    assert torch.equal(net.fc.weight, saved["fc.weight"])


@pytest.mark.extended
def test_torchvisions_vgg_computes_the_same_in_timms_network(tmp_path):
    with torch.device("meta"):
        theirs = torchvision.models.vgg11()
    theirs = theirs.to_empty(device="cpu").eval()
    chance = torch.Generator().manual_seed(0)
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.02, generator=chance)
    torch.save(theirs.state_dict(), tmp_path / "vgg.pth")
    net = timm.create_model("vgg11").eval()
    assert load_into(net, read_checkpoint(tmp_path / "vgg.pth")) == Fit()
    image = torch.randn(1, 3, 224, 224, generator=chance)
    with torch.no_grad():
        torch.testing.assert_close(net(image), theirs(image), rtol=1e-4, atol=1e-5)


def test_bare_weights_are_a_checkpoint_too(tmp_path):
    net = tiny()
    torch.save(net.state_dict(), tmp_path / "file.pth")
    assert read_checkpoint(tmp_path / "file.pth").key == ""


def test_positions_are_resized_and_a_head_for_other_classes_stays_out(tmp_path):
    path = save(tmp_path / "file.pth", tiny(img_size=32), key="net")
    net = tiny(img_size=64, num_classes=3)
    before = net.head.weight.clone()
    fit = load_into(net, read_checkpoint(path))
    assert (fit.resized, fit.left_out) == (("pos_embed",), ("head.weight", "head.bias"))
    assert torch.equal(net.head.weight, before)


def test_another_networks_weights_are_refused_with_its_name(tmp_path):
    path = save(tmp_path / "file.pth", timm.create_model("t2t_vit_10"))
    with pytest.raises(CheckpointError, match=r"not this network's \(33 unknown, as blocks\.7.*they fit t2t_vit_10$"):
        load_into(timm.create_model("t2t_vit_7"), read_checkpoint(path))
    net = tiny(depth=10)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"cls_token is \(1, 1, 256\), torch.float32, .*\(1, 1, 32\).* fits t2t_vit_10$"
    ):
        load_into(net, read_checkpoint(path))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_distilled_networks_weights_are_known_as_such(tmp_path):
    path = save(tmp_path / "file.pth", timm.create_model("t2t_vit_12_distilled"))
    with pytest.raises(CheckpointError, match=r"unknown, as dist_token.*they fit t2t_vit_12_distilled$"):
        load_into(timm.create_model("t2t_vit_12"), read_checkpoint(path))


def test_a_network_without_a_head_takes_the_rest(tmp_path):
    saved = tiny()
    path = save(tmp_path / "file.pth", saved)
    net = tiny(num_classes=0)
    assert load_into(net, read_checkpoint(path)).left_out == ("head.weight", "head.bias")
    assert torch.equal(net.cls_token, saved.cls_token)


@pytest.mark.parametrize("name", ["resnet18", "inception_v3_auxiliary", "deit_tiny_distilled_patch16_224"])
def test_timms_networks_take_theirs_with_other_classes(name, tmp_path):
    saved = timm.create_model(name, num_classes=20)
    torch.save(saved.state_dict(), tmp_path / "file.pth")
    net = timm.create_model(name, num_classes=3)
    assert list(load_into(net, read_checkpoint(tmp_path / "file.pth")).left_out) == head_parameters(
        net, net.state_dict()
    )
    with pytest.raises(CheckpointError, match="missing"):
        load_into(timm.create_model("resnet34"), read_checkpoint(tmp_path / "file.pth"))


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (
            torch.zeros(32, device="meta"),
            "no weights in it: norm.weight is a tensor without values, on the",
        ),
        (torch.zeros(32).to_sparse(), "no weights in it: norm.weight is a tensor of torch.sparse_coo"),
        (torch.empty(2**40, layout=torch.sparse_coo), "norm.weight is a tensor of torch.sparse_coo"),
        (torch.zeros(32, dtype=torch.complex64), "no weights in it: norm.weight is a tensor of torch.complex64"),
        (torch.quantize_per_tensor(torch.ones(32), 0.1, 0, torch.qint8), "refused: reading it would call"),
        (3, "no weights in it: norm.weight is of type int"),
        ([1.0] * 32, "no weights in it: norm.weight is of type list"),
        (np.float32(1), "no weights in it: norm.weight is of type numpy"),
        (torch.zeros(1).expand(2**40), "norm.weight is (1099511627776,), more values than the file holds"),
        (torch.zeros(0), r"norm.weight is (0,), torch.float32, and this network's is (32,)"),
        (
            torch.ones(32, dtype=torch.int64),
            "norm.weight is (32,), torch.int64, and this network's is (32,), ",
        ),
        (torch.tensor([*[1.0] * 31, torch.nan]), "norm.weight is not finite"),
        (torch.full((32,), 1e300, dtype=torch.float64), "norm.weight is not finite"),
    ],
    ids=lambda value: value[-24:] if isinstance(value, str) else "",
)
def test_what_is_no_weight_is_named(weight, words, tmp_path):
    torch.save({"state_dict": {**tiny().state_dict(), "norm.weight": weight}}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError) as error:
        load_into(tiny(), read_checkpoint(tmp_path / "file.pth"))
    assert f"file.pth: {words}" in str(error.value) or words in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_weights_of_another_precision_are_taken(dtype, tmp_path):
    torch.save(tiny().state_dict() | {"norm.weight": torch.full((32,), 2.0).to(dtype)}, tmp_path / "file.pth")
    net = tiny()
    load_into(net, read_checkpoint(tmp_path / "file.pth"))
    assert torch.equal(net.norm.weight, torch.full((32,), 2.0))


# Keys and names


@pytest.mark.parametrize(
    "prefix",
    "module. _orig_mod. model. net. module._orig_mod. module._orig_mod.model. student.backbone.0.".split(),
)
@pytest.mark.parametrize("suffix", ["pth", "ckpt"])
def test_a_prefix_that_all_names_share_is_taken_off(prefix, suffix, tmp_path):
    saved, net = tiny(), tiny()
    checkpoint = read_checkpoint(save(tmp_path / f"file.{suffix}", saved, key="state_dict", prefix=prefix))
    assert checkpoint.prefix == prefix
    load_into(net, checkpoint)
    assert torch.equal(net.head.weight, saved.head.weight)


def test_wrappers_of_single_layers_are_taken_off(tmp_path):
    saved, net = tiny(), tiny()
    saved.blocks[0] = torch.compile(saved.blocks[0], backend="eager")
    saved.blocks[1] = torch.nn.DataParallel(saved.blocks[1])
    torch.save(saved.state_dict(), tmp_path / "file.pth")
    load_into(net, read_checkpoint(tmp_path / "file.pth"))
    assert torch.equal(net.blocks[1].norm1.weight, saved.blocks[1].module.norm1.weight)


def test_a_networks_own_parts_named_like_a_wrapper_stay(tmp_path):
    class Wrapped(torch.nn.Module):
        pretrained_cfg = types.MappingProxyType({"classifier": "module.head"})

        def __init__(self):
            super().__init__()
            self.module = torch.nn.Sequential(torch.nn.Linear(2, 2))

    saved, net = Wrapped(), Wrapped()
    torch.save({f"_orig_mod.{name}": value for name, value in saved.state_dict().items()}, tmp_path / "file.pth")
    load_into(net, read_checkpoint(tmp_path / "file.pth"))
    assert torch.equal(net.module[0].weight, saved.module[0].weight)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (("criterion.",), "but those behind model. fit t2t_vit_7; save"),
        (("teacher.", "model."), "but those behind model. fit t2t_vit_7 and those behind teacher. fit t2t_vit_7; save"),
    ],
)
def test_names_that_share_no_prefix_are_told_of(others, words):
    with torch.device("meta"):
        weights = timm.create_model("t2t_vit_7").state_dict()
    beside = {f"{other}{name}": value for other in others for name, value in weights.items() if other != "criterion."}
    beside |= {"criterion.weight": torch.zeros(3)} if others == ("criterion.",) else {}
    mixed = {f"model.{name}": value for name, value in weights.items()} | beside
    assert networks_of(Checkpoint(path="", weights=mixed, key="")) == []
    assert words in misfit(mixed)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"norm.weight": torch.zeros(3)}, "of which t2t_vit_12 is nearest (norm.weight is (3,) instead of (256,))"),
        ({"extra": torch.zeros(3)}, "of which t2t_vit_12 is nearest (1 unknown, as extra)"),
        ({"pos_embed": torch.zeros(3, 3)}, "of which t2t_vit_12 is nearest (pos_embed is (3, 3)"),
        ({"head.weight": torch.zeros(())}, "of which t2t_vit_12 is nearest (head.weight is ()"),
    ],
)
def test_the_nearest_network_is_named(change, words):
    with torch.device("meta"):
        weights = timm.create_model("t2t_vit_12").state_dict()
    assert words in misfit(weights | change)
    assert misfit({"conv1.weight": torch.zeros(3)}) == "which have no such names as conv1.weight"


WEIGHTS, OTHERS = {"a": torch.zeros(2), "b": torch.zeros(1)}, {"a": torch.ones(2), "b": torch.zeros(1)}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"state_dict": OTHERS, "state_dict_ema": WEIGHTS}, "state_dict_ema"),
        ({"model": OTHERS, "model_ema": WEIGHTS}, "model_ema"),
        ({"model": {"state_dict": WEIGHTS, "epoch": 3}}, "model.state_dict"),
        ({"state_dict": {"model": WEIGHTS, "optimizer": {}}}, "state_dict.model"),
        ({"model": {"state_dict": OTHERS, "state_dict_ema": WEIGHTS}}, "model.state_dict_ema"),
        ({"model": WEIGHTS, "net": {name: value.clone() for name, value in WEIGHTS.items()}}, "net"),
        ({"weights of mine": WEIGHTS, "epoch": 3, "loss": torch.ones(())}, "weights of mine"),
        ({"model": WEIGHTS, "ema": {"decay": 0.9, "step": torch.ones(()), "shadow": OTHERS}}, "model"),
        ({"model": WEIGHTS, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{}]}}, "model"),
        ({"model": WEIGHTS, "state_dict_ema": None, "net": "t2t_vit_7"}, "model"),
    ],
)
def test_of_several_mappings_the_meant_one_is_taken(content, key, tmp_path):
    torch.save(content, tmp_path / "file.pth")
    checkpoint = read_checkpoint(tmp_path / "file.pth")
    assert checkpoint.key == key
    assert not checkpoint.weights["a"].any()


@pytest.mark.parametrize("keys", [("model", "net"), ("state_dict_ema", "ema"), ("mine", "yours")])
def test_of_two_that_may_be_meant_neither_is_taken(keys, tmp_path):
    torch.save(dict(zip(keys, (WEIGHTS, OTHERS), strict=True)), tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=r"file\.pth: other weights under \w+ than under \w+; save those alone"):
        read_checkpoint(tmp_path / "file.pth")


# Images of other channels and other grids


@pytest.mark.parametrize(("name", "changed"), [("t2t_vit_7", 4), ("t2t_vit_t_14", 3)])
@pytest.mark.parametrize("channels", [1, 4])
def test_a_t2t_module_is_adapted_too(name, changed, channels, tmp_path):
    small = {"embed_dim": 32, "num_heads": 1, "depth": 1, "img_size": 32}
    saved, net = timm.create_model(name, **small), timm.create_model(name, **small, in_chans=channels)
    fit = load_into(net, read_checkpoint(save(tmp_path / "file.pth", saved)))
    assert len(fit.adapted) == changed
    assert all(adapted.startswith("tokens_to_token.attention1.") for adapted in fit.adapted)
    kept = saved.state_dict().keys() - fit.adapted
    assert all(torch.equal(net.state_dict()[each], saved.state_dict()[each]) for each in kept)


@pytest.mark.parametrize("tokens_type", ["patch", "convolution"])
@pytest.mark.parametrize("channels", [1, 4])
def test_a_first_convolution_is_adapted_as_timm_does(tokens_type, channels, tmp_path):
    name = {"patch": "t2t_vit_14_no_t2t", "convolution": "t2t_vit_c_14"}[tokens_type]
    small = {"embed_dim": 32, "num_heads": 1, "depth": 1, "img_size": 32}
    saved, net = timm.create_model(name, **small), timm.create_model(name, **small, in_chans=channels)
    fit = load_into(net, read_checkpoint(save(tmp_path / "file.pth", saved)))
    (weight,) = fit.adapted
    theirs = adapt_input_conv(channels, saved.state_dict()[weight])
    assert torch.equal(net.state_dict()[weight], theirs)


@pytest.mark.parametrize(
    ("name", "there", "here"),
    [
        *((name, *channels) for name in ("t2t_vit_7", "t2t_vit_t_14") for channels in ((1, 3), (4, 3), (4, 1))),
        ("resnet18", 1, 3),
        ("resnet18", 4, 3),
    ],
)
def test_other_channels_are_said_as_such(name, there, here, tmp_path):
    small = {"embed_dim": 64, "num_heads": 1, "depth": 1, "img_size": 32} if name.startswith("t2t") else {}
    path = save(tmp_path / "file.pth", timm.create_model(name, in_chans=there, **small))
    with pytest.raises(CheckpointError, match=rf"with in_chans={there}, .* has in_chans={here}; create it with"):
        load_into(timm.create_model(name, in_chans=here, **small), read_checkpoint(path))


def test_a_network_of_other_channels_is_named():
    with torch.device("meta"):
        weights = timm.create_model("t2t_vit_7", in_chans=1).state_dict()
    assert misfit(weights) == "but t2t_vit_7 with in_chans=1"
    with torch.device("meta"):  # twice as wide is not 6 channels, be the width a multiple of 3 or not
        assert "in_chans" not in misfit(timm.create_model("t2t_vit_14", embed_dim=768).state_dict())
        weights = timm.create_model("t2t_vit_7").state_dict()
    for name, value in weights.items():  # nor are tokens twice as wide
        if name.startswith("tokens_to_token.attention1.norm2"):
            weights[name] = torch.zeros(2 * len(value))
    assert "in_chans" not in misfit(weights)


@pytest.mark.parametrize(
    ("there", "here", "grid"),
    [
        ((64, 64), (32, 32), (4, 4)),
        ((64, 64), (64, 32), (4, 4)),
        ((128, 64), (64, 32), (8, 4)),
        ((64, 128), (16, 32), (4, 8)),
        ((64, 64), (128, 16), (4, 4)),  # or (8, 2), which fewer networks are trained with
    ],
)
def test_positions_are_resized_from_the_grid_that_the_file_is_of(there, here, grid, tmp_path):
    saved, net = tiny(img_size=there), tiny(img_size=here)
    fit = load_into(net, read_checkpoint(save(tmp_path / "file.pth", saved)))
    assert (fit.grid, fit.resized) == (grid, ("pos_embed",))
    images = saved.pos_embed[0, 1:].T.unflatten(1, grid)[None]
    size = tuple(side // 16 for side in here)
    resized = torch.nn.functional.interpolate(images, size=size, mode="bicubic", align_corners=False)
    torch.testing.assert_close(net.pos_embed[0, 1:], resized[0].flatten(1).T)


def test_as_many_positions_as_the_networks_are_of_its_grid(tmp_path):
    saved, net = tiny(img_size=(64, 32)), tiny(img_size=(64, 32))
    fit = load_into(net, read_checkpoint(save(tmp_path / "file.pth", saved)))
    assert (fit.grid, fit.resized) == ((4, 2), ())
    assert torch.equal(net.pos_embed, saved.pos_embed)


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        (torch.zeros(1, 0, 32), r"pos_embed of the checkpoint is \(1, 0, 32\), and a table of positions is"),
        (torch.zeros(1, 1, 32), r"pos_embed of the checkpoint is \(1, 1, 32\), and a table of positions is"),
        (torch.zeros(5, 32), r"pos_embed of the checkpoint is \(5, 32\), and a table of positions is"),
        (torch.zeros(()), r"pos_embed of the checkpoint is \(\), and a table of positions is"),
        (torch.zeros(2, 10, 32), r"pos_embed of the checkpoint is \(2, 10, 32\), and a table of positions is"),
        (torch.zeros(1, 11, 32), r"has 11 positions, .* the other 10 are of no square grid; choose the network"),
        (torch.zeros(1, 10, 16), r"pos_embed is \(1, 5, 16\), .* this network's is \(1, 5, 32\)"),
        (torch.zeros(1, 10, 32).long(), r"pos_embed is \(1, 5, 32\), torch.int64, and this network's"),
        (torch.zeros(1, 1, 1).expand(1, 1 + 10**10, 32), r"pos_embed is .*, more values than the file holds"),
    ],
)
def test_hostile_positions_are_one_line(positions, words, tmp_path):
    torch.save(tiny().state_dict() | {"pos_embed": positions}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=rf"^\S*file\.pth: .*{words}"):
        load_into(tiny(), read_checkpoint(tmp_path / "file.pth"))


@pytest.mark.parametrize(("positions", "side"), [(1 + 196, 224), (1 + 24**2, 384), (2, 16)])
def test_positions_tell_the_resolution(positions, side):
    weights = {"cls_token": torch.zeros(1, 1, 8), "pos_embed": torch.zeros(1, positions, 8)}
    assert img_size(Checkpoint(path="", weights=weights, key="")) == side
    for wrong in (0, 1, 3, positions + 1):
        weights["pos_embed"] = torch.zeros(1, wrong, 8)
        with pytest.raises(CheckpointError, match="of no square image"):
            img_size(Checkpoint(path="", weights=weights, key=""))


@pytest.mark.parametrize("zipped", mostly_extended([True, False], True))
def test_damaged_bytes_are_an_error_or_change_nothing_that_counts(zipped, tmp_path):
    """Whatever a byte's change makes of the pickle: one kind of error; a weight changes in the old format alone."""
    net, path = tiny(embed_dim=8, num_heads=1), tmp_path / "file.pth"
    torch.save({"state_dict": net.state_dict(), "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
    whole, chance, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            read = read_checkpoint(path).weights
        except CheckpointError:
            refused += 1
            continue
        same = all(torch.equal(read.get(name, torch.empty(0)), value) for name, value in net.state_dict().items())
        assert same or not zipped
    assert refused > (200 if zipped else 0)


def test_names_in_two_spellings_are_refused(tmp_path):
    weights = tiny().state_dict()
    torch.save(weights | {"module.norm.weight": weights["norm.weight"]}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=r"with and without module\."):
        read_checkpoint(tmp_path / "file.pth")


def test_an_empty_average_hides_no_weights(tmp_path):
    torch.save({"state_dict_ema": {}, "state_dict": tiny().state_dict()}, tmp_path / "file.pth")
    assert read_checkpoint(tmp_path / "file.pth").key == "state_dict"


def test_what_lies_beside_the_weights_is_data(tmp_path):
    beside = {"best": np.float64(98.3), "seen": np.int64(3), "where": types.SimpleNamespace(log=Path("/log"))}
    assert read_checkpoint(save(tmp_path / "file.pth", tiny(), key="net", **beside)).key == "net"


@pytest.mark.parametrize("left", [0.5, 0.001])
def test_a_truncated_file_is_named(left, tmp_path):
    path = save(tmp_path / "file.pth", tiny())
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])
    with pytest.raises(CheckpointError, match=r"file\.pth: not a .*fetch it again"):
        read_checkpoint(path)


class Malicious:
    """Touches a file where it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_wants_to_run_code_does_not(zipped, tmp_path):
    marker = tmp_path / "ran"
    path = tmp_path / "file.pth"
    torch.save(
        {"state_dict": tiny().state_dict(), "args": Malicious(marker)}, path, _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(CheckpointError, match=r"file\.pth: refused: reading it would call posix\.system, which"):
        read_checkpoint(path)
    assert not marker.exists()
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Malicious(marker), protocol=2))
    with pytest.raises(CheckpointError, match=r"bare\.pth: refused: reading it would call posix\.system, which"):
        read_checkpoint(tmp_path / "bare.pth")
    assert not marker.exists()


@pytest.mark.parametrize(
    "content", [{}, {"state_dict": {}}, {"epoch": 3}, [1, 2], {"a": torch.zeros(1), "b": 3}, {1: torch.zeros(1)}]
)
def test_a_file_without_weights_says_so(content, tmp_path):
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="no weights in it"):
        read_checkpoint(tmp_path / "file.pth")
