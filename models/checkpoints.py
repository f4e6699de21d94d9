"""Weights from files, put into the networks that they fit.

The authors' files are dictionaries with the weights under ``state_dict_ema`` or ``state_dict`` (ImageNet) or ``net``
(CIFAR), names perhaps prefixed ``module.``, beside epoch, accuracy and an ``argparse.Namespace``. Those of others have
other keys, and the prefixes of whatever the network was wrapped in.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from timm.models import adapt_input_conv
from timm.models.vgg import VGG
from torch import Tensor, nn

from models.checkpoint_files import CheckpointError, ForeignFile, read_data
from models.checkpoint_keys import plain_names, weights_in
from models.fitting_networks import (
    BATCHES,
    fitting_networks,
    head_parameters,
    image_channels,
    misfit,
    missing_and_unknown,
    shapes_of,
)
from models.input_channels import RGB, adapt_soft_split
from models.positions import positions_grid
from models.t2t_vit import T2TViT, fit_checkpoint
from models.tokens import STRIDE
from models.weights import named_weights

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Fit",
    "ForeignFile",
    "head_parameters",
    "img_size",
    "load_into",
    "misfit",
    "networks_of",
    "read_checkpoint",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The weights in a file, with their origin."""

    path: str
    weights: Mapping[str, Tensor]
    """by parameter, without the parts that wrappers add and without what all names begin with"""
    key: str
    """where they lay in the file; empty if it is nothing but weights"""
    prefix: str = ""
    """what all names in the file begin with, ``module.`` or ``model._orig_mod.`` for example"""
    sha256: str = ""
    """of the file, over the bytes that the weights were read from; empty if they are of no released file"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The changes made to a file's weights on their way into a network."""

    resized: tuple[str, ...] = ()
    """position tables that were resized to the network's grid"""
    grid: tuple[int, int] | None = None
    """rows and columns of tokens that a T2T-ViT's table was taken to be of: it does not say"""
    adapted: tuple[str, ...] = ()
    """weights of first layers that were adapted to the network's number of image channels"""
    left_out: tuple[str, ...] = ()
    """parameters of a head for another number of classes: the network keeps its own, if it has one"""


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file's weights on the CPU, and the file once; nothing that it holds is run.

    Averaged weights are preferred to those they are the average of. Prefixes of wrappers, as DistributedDataParallel,
    torch.compile and Lightning have them, are taken off, and so is anything else that all names begin with.

    Raises:
        CheckpointError: it is not a whole checkpoint, it holds no weights or several, or reading it would run code.
        OSError: it is not there, not a regular file, or cannot be read; names it.
    """
    data = read_data(path)
    try:
        key, weights = weights_in(data.saved, data.size)
        plain, prefix = plain_names(weights)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    named = {plain[name]: value for name, value in weights.items()}
    return Checkpoint(path=str(path), weights=named, key=key, prefix=prefix, sha256=data.sha256)


def load_into(network: nn.Module, checkpoint: Checkpoint) -> Fit:
    """Give a network a file's weights, its positions resized and a head for other classes left out.

    A first layer for images with 3 channels is adapted to a network for images with other channels. The network is as
    it was after an error.

    Args:
        network: of this package or of timm.
        checkpoint: from ``read_checkpoint``.

    Raises:
        CheckpointError: names or shapes do not fit; says what does not, and which of our networks it would fit. Or a
            parameter is not finite.
    """
    own, weights = network.state_dict(), dict(checkpoint.weights)
    if isinstance(network, VGG):
        weights = _with_convolutions(weights)
    names = {plain: name for name, plain in plain_names(own)[0].items()}  # a network may have such parts of its own
    weights = {names.get(name, name): value for name, value in weights.items()}
    head = head_parameters(network, own)
    left_out = [] if head else head_parameters(network, weights)
    for name in left_out:
        del weights[name]
    # Files from before torch 0.4.1 have none, and only training with a cumulative average reads them.
    weights = {name: own[name] for name in own if name.endswith(BATCHES)} | weights
    missing, unknown = [name for name in own if name not in weights], [name for name in weights if name not in own]
    if missing or unknown:
        what = missing_and_unknown(missing, unknown)
        behind = f", all behind {checkpoint.prefix}" if checkpoint.prefix else ""
        raise CheckpointError(
            f"{checkpoint.path}: its weights are not this network's ({what}{behind}); they fit {_which(checkpoint)}"
        )
    other = [name for name in head if own[name].shape != weights[name].shape]
    left_out += other
    weights |= {name: own[name] for name in other}
    weights, adapted = _with_channels(weights, network, own, checkpoint.path)
    resized: tuple[str, ...] = ()
    grid = network.grid_size if isinstance(network, T2TViT) else None
    if isinstance(network, T2TViT) and weights["pos_embed"].shape != own["pos_embed"].shape:
        try:
            grid = positions_grid(weights["pos_embed"], network.num_prefix_tokens, network.grid_size)
            resized = ("pos_embed",)
            weights = fit_checkpoint(weights, network)
        except (ValueError, RuntimeError) as error:
            raise CheckpointError(f"{checkpoint.path}: {error}") from error
    for name, value in weights.items():
        if value.shape != own[name].shape or value.is_floating_point() != own[name].is_floating_point():
            raise CheckpointError(
                f"{checkpoint.path}: {name} is {tuple(value.shape)}, {value.dtype}, and this network's is "
                f"{tuple(own[name].shape)}, {own[name].dtype}; the file fits {_which(checkpoint)}"
            )
    for name, _ in named_weights(network):
        if name not in left_out and not weights[name].to(own[name].dtype).isfinite().all():
            raise CheckpointError(
                f"{checkpoint.path}: {name} is not finite, as after a training that diverged; give earlier weights"
            )
    network.load_state_dict(weights)
    return Fit(resized=resized, grid=grid, adapted=adapted, left_out=tuple(left_out))


def _which(checkpoint: Checkpoint) -> str:
    return ", ".join(networks_of(checkpoint)) or f"no network of this package, {misfit(checkpoint.weights)}"


def _with_channels(
    weights: dict[str, Tensor], network: nn.Module, own: Mapping[str, Tensor], path: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Weights whose first layers are for as many image channels as the network's, and the names of those adapted.

    Raises:
        CheckpointError: the weights are for images with other channels, and cannot be adapted.
    """
    first = network.pretrained_cfg.get("first_conv") or ()  # type: ignore[union-attr,operator]
    convolutions = {f"{name}.weight" for name in ([first] if isinstance(first, str) else first)} & own.keys()
    adapted = {
        name: adapt_input_conv(own[name].shape[1], weights[name])
        for name in convolutions
        if own[name].ndim == weights[name].ndim == 4 and weights[name].shape[1] == RGB != own[name].shape[1]
    }
    if isinstance(network, T2TViT):
        adapted |= adapt_soft_split(weights, network.in_chans)
    of_first = max((own[name].shape[1] for name in convolutions), default=RGB)
    channels = network.in_chans if isinstance(network, T2TViT) else of_first
    shapes, here = shapes_of(weights | adapted), shapes_of(own)
    if (others := image_channels(shapes, here, {"pos_embed"}, channels)) is not None:
        raise CheckpointError(
            f"{path}: trained with in_chans={others}, and this network has in_chans={channels}; create it with "
            f"in_chans={others}, or give other weights"
        )
    return weights | adapted, tuple(sorted(adapted))


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
    return fitting_networks(checkpoint.weights, others)


def img_size(checkpoint: Checkpoint) -> int:
    """Side of the images that a network of this package was trained on, in pixels, as its table of positions tells.

    Raises:
        CheckpointError: they were not square, or the table is of no image.
    """
    prefix_tokens = sum(name in checkpoint.weights for name in ("cls_token", "dist_token"))
    tokens = checkpoint.weights["pos_embed"].shape[1] - prefix_tokens
    side = math.isqrt(max(tokens, 0))
    if tokens < 1 or side**2 != tokens:
        raise CheckpointError(
            f"{checkpoint.path}: pos_embed has positions of {tokens} image tokens, which are of no square image; give "
            "weights that were trained on square ones"
        )
    return STRIDE * side
