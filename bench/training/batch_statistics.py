"""Batch norm on several processes: running statistics as if one process had seen all local batches in turn."""

from collections.abc import Iterator

import timm.layers
import torch
import torch.distributed as dist
import torchvision.ops
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.spec.errors import RequestError

_FROZEN = (timm.layers.FrozenBatchNormAct2d, torchvision.ops.FrozenBatchNorm2d)


def batch_statistics(network: nn.Module) -> list[nn.Module]:
    """Layers in training whose output or state depends on which images are in a batch together."""
    return [
        layer
        for layer in network.modules()
        if layer.training
        and not isinstance(layer, _FROZEN)
        and (isinstance(layer, _BatchNorm) or getattr(layer, "running_var", None) is not None)
    ]


class SharedStatistics:
    """Keeps the running statistics of processes that train together equal.

    In training a layer takes r to (1 - m) r + m s at each of its n local batches, m its momentum and s what it found.
    Over the W n local batches of W processes that is a weighted sum of what each process's n came to, so one reduction
    a step yields what one process would have.

    Args:
        network: the same on all processes.
        local_batches: n, of each process, a step.
        rank: of this process.
        world_size: W.

    Raises:
        RequestError: a layer has no momentum, but averages over all that it has seen.
    """

    def __init__(self, network: nn.Module, local_batches: int, rank: int, world_size: int) -> None:
        self.layers = [layer for layer in batch_statistics(network) if layer.running_var is not None]
        if any(getattr(layer, "momentum", None) is None for layer in self.layers):
            raise RequestError("batch norm without momentum cannot be trained on several processes; choose one")
        self.local_batches, self.rank, self.world_size = local_batches, rank, world_size
        self.before: list[Tensor] = []

    def begin_step(self) -> None:
        """Note the statistics that all processes start from."""
        self.before = [buffer.clone() for buffer, _ in self._buffers()]

    def end_step(self) -> None:
        """Combine what the processes have come to."""
        if not self.before:
            return
        found = []
        for before, (buffer, kept) in zip(self.before, self._buffers(), strict=True):
            later = self.world_size - 1 - self.rank  # processes whose local batches come after this one's
            found.append((kept**later * (buffer - kept * before)).flatten())
        together = torch.cat(found)
        dist.all_reduce(together)
        sizes = [len(part) for part in found]
        for before, (buffer, kept), part in zip(self.before, self._buffers(), together.split(sizes), strict=True):
            buffer.copy_(kept**self.world_size * before + part.view_as(buffer))
        for layer in self.layers:
            if (count := getattr(layer, "num_batches_tracked", None)) is not None:
                count += (self.world_size - 1) * self.local_batches

    def _buffers(self) -> Iterator[tuple[Tensor, float]]:
        """Each of the layers' running statistics, and how much of it a process's local batches of a step leave."""
        for layer in self.layers:
            kept = float((1 - layer.momentum) ** self.local_batches)  # type: ignore[operator]
            for name in ("running_mean", "running_var"):
                if (buffer := getattr(layer, name, None)) is not None:
                    yield buffer, kept
