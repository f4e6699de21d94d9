"""The weights in a file's data: under which key they lie, and what wrappers added to their names."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor

_AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "ema")
"""keys of averaged weights, the preferred: DeiT has ``model_ema``, our runs ``ema``"""
_TRAINED = ("state_dict", "model_state_dict", "net", "model", "network", "module", "weights", "params")
"""keys of the weights as they were trained: DeiT and others have ``model``, our runs ``network``"""

_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""parts of names, wherever they stand, that torch's wrappers of a network or of a layer add"""


def weights_in(saved: object, size: int) -> tuple[str, Mapping[str, Tensor]]:
    """The weights that a file means, and the key they lie under.

    Raises:
        ValueError: there are none, or several.
    """
    if not isinstance(saved, Mapping):
        raise ValueError(f"no weights in it: it is {_kind(saved)}, and not a dictionary")
    found = _candidates(saved)
    for keys in (_AVERAGED, _TRAINED):
        if meant := {key: _places(key, keys) for key in found if _places(key, keys)}:
            return _only(found, sorted(meant, key=lambda key: meant[key]), size)
    if others := [key for key, weights in found.items() if all(map(_is_plain, weights.values()))]:
        return _only(found, others, size)
    if not any(isinstance(value, Tensor) for value in saved.values()):
        raise ValueError(f"no weights in it, neither under {', '.join((*_AVERAGED, *_TRAINED))} nor by themselves")
    return _only({"": saved}, [""], size)


def _candidates(saved: Mapping[Any, object]) -> dict[str, Mapping[str, Tensor]]:
    """Mappings of tensors in a file's dictionary: under any key, or under a known one of a mapping in it."""
    mappings: dict[str, object] = {}
    for key, value in saved.items():
        if isinstance(key, str) and isinstance(value, Mapping):
            inner = {f"{key}.{name}": value[name] for name in (*_AVERAGED, *_TRAINED) if name in value}
            mappings |= {key: value, **inner}
    return {place: some for place, some in mappings.items() if isinstance(some, Mapping) and _mostly_tensors(some)}


def _mostly_tensors(values: Mapping[Any, object]) -> bool:
    return 2 * sum(isinstance(value, Tensor) for value in values.values()) > len(values)


def _places(key: str, keys: Sequence[str]) -> list[int]:
    """The places of a key's parts among others."""
    return [keys.index(part) for part in key.split(".") if part in keys]


def _only(
    found: Mapping[str, Mapping[str, Tensor]], keys: Sequence[str], size: int
) -> tuple[str, Mapping[str, Tensor]]:
    """The first of some weights, if none of the others differ.

    Args:
        found: weights by their key.
        keys: of those that may be meant.
        size: of the file, in bytes.

    Raises:
        ValueError: they differ, or hold what cannot be copied into a network.
    """
    for key in keys:
        _require_dense(found[key], size)
    if not all(_equal(found[keys[0]], found[key]) for key in keys[1:]):
        raise ValueError(f"other weights under {keys[0]} than under {keys[1]}; save those alone that are meant")
    return keys[0], found[keys[0]]


def _require_dense(weights: Mapping[Any, object], size: int) -> None:
    for name, value in weights.items():
        if not isinstance(name, str):
            raise ValueError(f"no weights in it: {name!r:.40} is no name of one")
        if not _is_plain(value):
            raise ValueError(f"no weights in it: {name} is {_kind(value)}, and networks take dense tensors of numbers")
        if value.numel() * value.element_size() > size:
            raise ValueError(f"no weights in it: {name} is {tuple(value.shape)}, more values than the file holds")


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether it is a tensor that can be copied into a network as it stands."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_complex() or value.is_quantized)
    )


def _kind(value: object) -> str:
    if not isinstance(value, Tensor):
        return f"of type {type(value).__qualname__}"
    if value.is_meta:
        return "a tensor without values, on the meta device"
    return f"a tensor of {value.dtype}" if value.layout is torch.strided else f"a tensor of {value.layout}"


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    def same(a: Tensor, b: Tensor) -> bool:
        return a is b or (a.dtype == b.dtype and torch.equal(a, b))

    return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)


def plain_names(names: Iterable[str]) -> tuple[dict[str, str], str]:
    """Names without the parts that wrappers add and without what all of them begin with, by name; and the latter.

    Raises:
        ValueError: two names become one.
    """
    plain: dict[str, str] = {}
    for name in names:
        *parts, last = name.split(".")
        plain[name] = ".".join([part for part in parts if part not in _WRAPPERS] + [last])
    taken: dict[str, str] = {}
    for name, short in plain.items():
        if (other := taken.setdefault(short, name)) != name:
            part = next(part for part in (*name.split("."), *other.split(".")) if part in _WRAPPERS)
            raise ValueError(
                f"names with and without {part}. in one file, {other} and {name}; which is meant is not known"
            )
    shared = len(_shared_prefix(list(plain.values())))
    return {name: short[shared:] for name, short in plain.items()}, _shared_prefix(list(plain))


def _shared_prefix(names: Sequence[str]) -> str:
    """Leading parts that all names have, each with its dot."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}." for level in itertools.takewhile(lambda level: len({*level}) == 1, levels))
