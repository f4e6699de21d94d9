"""Dropout and stochastic depth of a local batch that a device takes in micro-batches.

An image is dropped from or not whatever the size of the micro-batches: each draws for the whole local batch, from the
same state of the generators, and takes its own rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench.spec.errors import RequestError

_aten = torch.ops.aten

_IN_PLACE = (_aten.bernoulli_.float, _aten.uniform_.default)
"""draws that fill their first argument"""


class LocalDraws(TorchDispatchMode):
    """While active, random numbers are those of some rows of a local batch.

    Args:
        rows: of the micro-batch, in the local batch.
        size: images of the local batch.

    Raises:
        RequestError: from the forward pass, where the network draws something other than numbers for each image.
    """

    def __init__(self, rows: range, size: int) -> None:
        super().__init__()
        self.rows, self.size = rows, size

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in func.tags or _draws_nothing(func, args, kwargs):
            return func(*args, **kwargs)
        mine = slice(self.rows.start, self.rows.stop)
        if func in _IN_PLACE and self._is_batch(args[0]):  # stochastic depth, and dropout on a CPU
            part, *rest = args
            return part.copy_(func(self._whole(part), *rest, **kwargs)[mine])
        if func is _aten.native_dropout.default and self._is_batch(args[0]):  # dropout on a GPU
            part, *rest = args
            scaled, kept = func(self._whole(part).fill_(1), *rest, **kwargs)
            return part * scaled[mine], kept[mine]
        raise RequestError(
            f"the network draws random numbers by {func}, which local batches of {self.size} images that are split "
            f"cannot reproduce; choose --micro-batch {self.size} or more, and no more processes than local batches"
        )

    def _is_batch(self, tensor: Tensor) -> bool:
        return tensor.ndim > 0 and len(tensor) == len(self.rows)

    def _whole(self, part: Tensor) -> Tensor:
        """A tensor for all rows, laid out in memory as the part is: numbers are drawn in that order."""
        layout = sorted(range(part.ndim), key=part.stride, reverse=True)
        shape = (self.size, *part.shape[1:])
        return torch.empty_permuted(shape, layout, dtype=part.dtype, device=part.device)


def _draws_nothing(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether it is attention without dropout."""
    names = [argument.name for argument in func._schema.arguments]
    return "dropout_p" in names and not (dict(zip(names, args, strict=False)) | dict(kwargs)).get("dropout_p", 0)
