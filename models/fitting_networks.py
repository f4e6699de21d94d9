"""Find the networks of this package that some weights fit, by names and shapes alone."""

import functools
from collections.abc import Iterable, Mapping, Sequence, Set
from fractions import Fraction

import timm
import torch
from torch import Tensor, nn

from models.input_channels import RGB

Shapes = Mapping[str, tuple[int, ...]]
"""by parameter or buffer"""

BATCHES = ".num_batches_tracked"
"""how the name of a norm's counter ends, which files from before torch 0.4.1 have not"""


def fitting_networks(weights: Mapping[str, Tensor], others: Iterable[str] = ()) -> list[str]:
    """Names of our registered networks that weights fit, and of others; as ``models.checkpoints.networks_of``."""
    shapes = shapes_of(weights)
    return [name for name in dict.fromkeys([*_ours(), *others]) if _alike(shapes, *_shapes(name))]


def misfit(weights: Mapping[str, Tensor]) -> str:
    """The reason why weights fit no network of this package, in a few words: their difference from the nearest one."""
    below: dict[str, dict[str, Tensor]] = {}
    for name, one in weights.items():
        part, _, rest = name.partition(".")
        below.setdefault(part, {})[rest] = one
    if fitting := {part: ", ".join(found) for part, some in below.items() if (found := fitting_networks(some))}:
        each = " and ".join(f"those behind {part}. fit {names}" for part, names in fitting.items())
        return f"but {each}; save some of them alone"
    shapes = shapes_of(weights)
    nearest = min(_ours(), key=lambda name: _distance(shapes, _shapes(name)[0]))
    own, head = _shapes(nearest)
    missing, unknown = [name for name in own if name not in shapes], [name for name in shapes if name not in own]
    if len(missing) + len(unknown) > len(own):
        return f"which have no such names as {next(iter(weights))}"
    if missing or unknown:
        return f"of which {nearest} is nearest ({missing_and_unknown(missing, unknown)})"
    if (channels := image_channels(shapes, own, {"pos_embed", *head}, RGB)) is not None:
        return f"but {nearest} with in_chans={channels}"
    differ = [name for name in own if shapes[name] != own[name]]
    name = next((name for name in differ if name != "pos_embed" and name not in head), differ[0])
    return f"of which {nearest} is nearest ({name} is {shapes[name]} instead of {own[name]})"


def missing_and_unknown(missing: Sequence[str], unknown: Sequence[str]) -> str:
    """The numbers of missing and of unknown names, and the first of each."""
    parts = (("missing", missing), ("unknown", unknown))
    return "; ".join(f"{len(names)} {kind}, as {names[0]}" for kind, names in parts if names)


def image_channels(there: Shapes, here: Shapes, aside: Set[str], channels: int) -> int | None:
    """Channels of the images that weights are for, if they differ from a network in nothing else.

    Args:
        there: the weights.
        here: the network, with the same names.
        aside: names that may differ.
        channels: the network's.
    """
    differ = [name for name in here if name not in aside and there[name] != here[name]]
    if any(len(there[name]) != len(here[name]) for name in differ):
        return None
    sides = [(a, b) for name in differ for a, b in zip(there[name], here[name], strict=True) if a != b]
    # Only what takes in the image differs, and is as wide as the pixels of a patch times the channels.
    if len({name.partition(".")[0] for name in differ}) != 1 or any(b % channels for _, b in sides):
        return None
    found = {Fraction(a * channels, b) for a, b in sides}
    return int(*found) if len(found) == 1 and all(one.denominator == 1 and one > 0 for one in found) else None


def head_parameters(network: nn.Module, names: Iterable[str]) -> list[str]:
    """Select the names of parameters that belong to a timm network's head, or heads."""
    classifier = network.pretrained_cfg["classifier"]  # type: ignore[index]  # timm gives every network one
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return [name for name in names if name.rpartition(".")[0] in heads]


def shapes_of(weights: Mapping[str, Tensor]) -> Shapes:
    """The shapes of weights, without the counters of norms."""
    return {name: tuple(one.shape) for name, one in weights.items() if not name.endswith(BATCHES)}


def _ours() -> list[str]:
    return [name for module in ("t2t_vit", "vit") for name in timm.list_models(module=module)]


def _distance(there: Shapes, here: Shapes) -> tuple[int, int]:
    """The number of names in which two networks differ, and the number of shapes."""
    return len(there.keys() ^ here.keys()), sum(there[name] != here[name] for name in there.keys() & here.keys())


def _alike(shapes: Shapes, own: Shapes, head: Set[str]) -> bool:
    if shapes.keys() != own.keys():
        return False
    differ = {name for name in own if shapes[name] != own[name]}
    if any(len(shapes[name]) != len(own[name]) for name in differ):
        return False
    return all(name == "pos_embed" or name in head for name in differ) and (
        "pos_embed" not in differ or shapes["pos_embed"][::2] == own["pos_embed"][::2]
    )


@functools.cache
def _shapes(name: str) -> tuple[Shapes, frozenset[str]]:
    """Names and shapes of a network's state dict, and the names of its head, or heads."""
    with torch.device("meta"):
        network = timm.create_model(name)
    own = shapes_of(network.state_dict())
    return own, frozenset(head_parameters(network, own))
