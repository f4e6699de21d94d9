"""The authors' checkpoint files, read without running anything that they hold.

A file of theirs is a dictionary with the weights under ``state_dict_ema`` or ``state_dict`` (ImageNet) or ``net``
(CIFAR), names perhaps prefixed ``module.``, beside epoch, accuracy and an ``argparse.Namespace``.
"""

import argparse
import functools
import hashlib
import io
import pickle
import re
import types
import zipfile
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path, PosixPath
from typing import Any

import numpy as np
import safetensors.torch
import timm
import torch
from timm.models.vgg import VGG
from torch import Tensor, nn

from models.t2t_vit import T2TViT, fit_checkpoint

__all__ = ["Checkpoint", "CheckpointError", "Fit", "head_parameters", "load_into", "networks_of", "read_checkpoint"]

_KEYS = ("state_dict_ema", "ema", "state_dict", "net", "model", "network")
"""where weights lie in a file, the preferred first: DeiT and others have ``model``, this suite's runs ``ema`` and
``network``"""


_numpy_scalar = np.float64(0).__reduce__()[0]

_DATA: list[Any] = [
    argparse.Namespace,  # in every file of the authors
    types.SimpleNamespace,
    PosixPath,
    # An accuracy that was saved as it came from numpy.
    np.dtype,
    *((_numpy_scalar, f"numpy.{core}.multiarray.scalar") for core in ("_core", "core")),  # today's numpy, and 1.x
    *{type(np.dtype(kind)) for kind in (np.bool_, np.int32, np.int64, np.float16, np.float32, np.float64)},
]
"""what may lie beside the weights: to make one of these runs nothing"""


class CheckpointError(ValueError):
    """A file that cannot be used, and why, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a file holds."""

    path: str
    weights: Mapping[str, Tensor]
    """by parameter, without ``module.``"""
    key: str
    """where they lay in the file; empty if it is nothing but weights"""
    sha256: str = ""
    """of the file, over the bytes that the weights were read from; empty if they are of no released file"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was done to a file's weights on their way into a network."""

    resized: tuple[str, ...] = ()
    """position tables that were resized to the network's grid"""
    left_out: tuple[str, ...] = ()
    """parameters of a head for another number of classes: the network keeps its own, if it has one"""


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file's weights on the CPU, and the file once.

    A file in torch's format of today carries checksums, and these are tested; one from before torch 1.6 has none,
    nor has one of safetensors.

    Raises:
        CheckpointError: it is not a whole checkpoint, it holds no weights, or reading it would run code.
        OSError: it is not there, or cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except MemoryError as error:
        raise CheckpointError(f"{path}: more than this machine's memory holds") from error
    saved = _load(path, content)
    found = {key: saved[key] for key in _KEYS if isinstance(saved, Mapping) and isinstance(saved.get(key), Mapping)}
    key = next((key for key, weights in found.items() if weights), "")
    weights = found[key] if key else saved
    if not isinstance(weights, Mapping) or not weights or not all(_is_weight(*item) for item in weights.items()):
        raise CheckpointError(f"{path}: no weights in it, neither under {', '.join(_KEYS)} nor by themselves")
    plain = {name.removeprefix("module."): value for name, value in weights.items()}
    if len(plain) < len(weights):
        raise CheckpointError(f"{path}: names with and without module. in one file; which are meant is not known")
    return Checkpoint(path=str(path), weights=plain, key=key, sha256=hashlib.sha256(content).hexdigest())


def _load(path: str | Path, content: bytes) -> object:
    """What a file holds, of data alone."""
    try:
        if Path(path).suffix == ".safetensors":
            return safetensors.torch.load(content)
        if zipfile.is_zipfile(io.BytesIO(content)):
            _test_checksums(path, content)
        with torch.serialization.safe_globals(_DATA):
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: {_refusal(content, str(error))}") from error
    except Exception as error:  # damaged bytes end in whatever the reader makes of them
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(f"{path}: not a whole checkpoint ({reason}); fetch it again") from error


def _test_checksums(path: str | Path, content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            damaged = file.testzip()
    except Exception as error:
        raise CheckpointError(f"{path}: not a whole checkpoint ({error}); fetch it again") from error
    if damaged:
        raise CheckpointError(f"{path}: not a whole checkpoint (the checksum of {damaged} is wrong); fetch it again")


def _is_weight(name: object, value: object) -> bool:
    """Whether it can be copied into a network as it stands."""
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
    )


def _refusal(content: bytes, error: str) -> str:
    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(content))
    except Exception:  # a format too old to look into, or damaged
        wanted = []
    known = {one[1] if isinstance(one, tuple) else f"{one.__module__}.{one.__qualname__}" for one in _DATA}
    wanted = [name for name in wanted if name not in known] or re.findall(r"GLOBAL (\S+)", error)[:1]
    if not wanted:
        return "not a checkpoint that can be read without running it; fetch it again"
    return f"refused: reading it would call {', '.join(wanted)}, which weights do not need"


def head_parameters(network: nn.Module, names: Iterable[str]) -> list[str]:
    """Those of the names of parameters that belong to a timm network's head, or heads."""
    classifier = network.pretrained_cfg["classifier"]  # type: ignore[index]  # timm gives every network one
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return [name for name in names if name.rpartition(".")[0] in heads]


def load_into(network: nn.Module, checkpoint: Checkpoint) -> Fit:
    """Give a network a file's weights, its positions resized and a head for other classes left out.

    The network is as it was after an error.

    Args:
        network: of this package or of timm.
        checkpoint: from ``read_checkpoint``.

    Raises:
        CheckpointError: names or shapes do not fit; says what does not, and which of our networks it would fit.
    """
    own, weights = network.state_dict(), dict(checkpoint.weights)
    if isinstance(network, VGG):
        weights = _with_convolutions(weights)
    head = head_parameters(network, own)
    left_out = [] if head else head_parameters(network, weights)
    for name in left_out:
        del weights[name]
    # Files from before torch 0.4.1 have none, and only training with a cumulative average reads them.
    weights = {name: own[name] for name in own if name.endswith(_BATCHES)} | weights
    missing, unknown = [name for name in own if name not in weights], [name for name in weights if name not in own]
    if missing or unknown:
        parts = (("missing", missing), ("unknown", unknown))
        what = "; ".join(f"{len(names)} {kind}, as {names[0]}" for kind, names in parts if names)
        others = ", ".join(networks_of(checkpoint)) or "no network of this package"
        raise CheckpointError(f"{checkpoint.path}: its weights are not this network's ({what}); they fit {others}")
    other = [name for name in head if own[name].shape != weights[name].shape]
    left_out += other
    weights |= {name: own[name] for name in other}
    resized: list[str] = []
    if isinstance(network, T2TViT) and weights["pos_embed"].shape != own["pos_embed"].shape:
        try:
            weights = fit_checkpoint(weights, network)
        except (ValueError, IndexError, RuntimeError) as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from error
        resized = ["pos_embed"]
    for name, value in weights.items():
        if value.shape != own[name].shape or value.is_floating_point() != own[name].is_floating_point():
            others = ", ".join(networks_of(checkpoint)) or "no network of this package as it is registered"
            raise CheckpointError(
                f"{checkpoint.path}: {name} is {tuple(value.shape)}, {value.dtype}, and this network's is "
                f"{tuple(own[name].shape)}, {own[name].dtype}; the file fits {others}"
            )
    network.load_state_dict(weights)
    return Fit(resized=tuple(resized), left_out=tuple(left_out))


def _with_convolutions(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's weights of a VGG with timm's names: its two hidden layers are convolutions there."""
    parts = {"classifier.0.": ("pre_logits.fc1.", 7), "classifier.3.": ("pre_logits.fc2.", 1)}
    renamed = {}
    for name, value in weights.items():
        for old, (new, side) in parts.items():
            if name == f"{old}weight" and value.ndim == 2 and value.shape[1] % side**2 == 0:
                value = value.unflatten(1, (-1, side, side))
            name = name.replace(old, new)
        renamed[name.replace("classifier.6.", "head.fc.")] = value
    return renamed


def networks_of(checkpoint: Checkpoint, others: Iterable[str] = ()) -> list[str]:
    """Names of our registered networks that the weights fit, whatever the resolution and the number of classes.

    More than one where networks differ in no shape, as T2T-ViT-14 with 6 and with 32 heads.

    Args:
        checkpoint: from ``read_checkpoint``.
        others: names of timm's networks to try as well.
    """
    weights = {name: value for name, value in checkpoint.weights.items() if not name.endswith(_BATCHES)}
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    ours = [name for module in ("t2t_vit", "vit") for name in timm.list_models(module=module)]
    return [name for name in dict.fromkeys([*ours, *others]) if _alike(shapes, *_shapes(name))]


_BATCHES = ".num_batches_tracked"
"""how the name of a norm's counter ends, which files from before torch 0.4.1 have not"""


def _alike(shapes: Mapping[str, tuple[int, ...]], own: Mapping[str, tuple[int, ...]], head: Set[str]) -> bool:
    if shapes.keys() != own.keys():
        return False
    differ = {name for name in own if shapes[name] != own[name]}
    if any(len(shapes[name]) != len(own[name]) for name in differ):
        return False
    return all(name == "pos_embed" or name in head for name in differ) and (
        "pos_embed" not in differ or shapes["pos_embed"][2] == own["pos_embed"][2]
    )


@functools.cache
def _shapes(name: str) -> tuple[dict[str, tuple[int, ...]], frozenset[str]]:
    """Names and shapes of a network's state dict, and the names of its head, or heads."""
    with torch.device("meta"):
        network = timm.create_model(name)
    own = {key: tuple(value.shape) for key, value in network.state_dict().items() if not key.endswith(_BATCHES)}
    return own, frozenset(head_parameters(network, own))
