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

from models.checkpoints import (
    Checkpoint,
    CheckpointError,
    Fit,
    head_parameters,
    load_into,
    networks_of,
    read_checkpoint,
)
from tests.models.test_t2t_vit import AUTHORS, authors_weights, tiny


def save(path, net, *, key="state_dict_ema", prefix="module.", decoy=True, **beside):
    """A file in the authors' format, other weights under ``state_dict`` beside the averaged ones, which count."""
    weights = {prefix + name: value for name, value in net.state_dict().items()}
    args = argparse.Namespace(model="t2t_vit_7", lr=5e-4, aa=None, betas=[0.9, 0.999])
    decoy = decoy and key == "state_dict_ema"
    others = {"state_dict": {k: torch.zeros_like(v) for k, v in weights.items()}} if decoy else {}
    torch.save({**others, key: weights, "args": args, "epoch": 299, "acc": 98.3, **beside}, path)
    return path


@pytest.mark.parametrize("name", [name for name in AUTHORS if "logits" in AUTHORS[name]])
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


@pytest.mark.parametrize(
    "weight",
    [torch.zeros(32, device="meta"), torch.zeros(32).to_sparse(), torch.zeros(32, dtype=torch.complex64)],
    ids=["meta", "sparse", "complex"],
)
def test_tensors_that_are_no_weights_are_refused(weight, tmp_path):
    torch.save({"state_dict": {**tiny().state_dict(), "norm.weight": weight}}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match=r"no weights in it|not a whole checkpoint"):
        read_checkpoint(tmp_path / "file.pth")


@pytest.mark.parametrize("zipped", [True, False])
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
