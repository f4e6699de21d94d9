"""Count accuracy, in training as in evaluation.

Legend: B images of a batch, K classes, N images that all processes evaluate together.
"""

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from bench.results.predictions import UNREAD
from bench.training.data import Batch
from bench.training.distributed import World

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Autocast to one of PRECISIONS; float32 is none."""
    enabled = precision != "float32"
    return torch.autocast(device.type, PRECISIONS[precision] if enabled else None, enabled=enabled)


@torch.no_grad()
def score(network: nn.Module, batch: Batch, device: torch.device, precision: str) -> tuple[Tensor, Tensor]:
    """Evaluate a batch.

    Returns:
        What it adds: images, summed cross-entropy, hits of the first and of the first five guesses, (4,) double; and
        the first guess for each image, (B,).
    """
    images = batch.images.to(device, non_blocking=True)
    labels = batch.labels.to(device, non_blocking=True)
    with autocast(device, precision):
        logits = network(images)
    logits = logits.float()
    guesses = rank(logits)
    top1, top5 = count_hits(guesses, labels)
    sums = torch.tensor([len(labels), 0, top1, top5], dtype=torch.double, device=device)
    sums[1] = functional.cross_entropy(logits, labels, reduction="sum")
    return sums, guesses[:, 0]


def rank(logits: Tensor) -> Tensor:
    """The five likeliest classes by (B, K) logits, (B, 5), the likeliest first; ties are guesses."""
    return logits.topk(min(5, logits.shape[1])).indices


def count_hits(guesses: Tensor, labels: Tensor) -> tuple[int, int]:
    """Count how many of (B, 5) guesses have their label (B,) first, and among the five."""
    hits = guesses == labels[:, None]
    return int(hits[:, 0].sum()), int(hits.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts over all processes."""

    images: int
    loss: float
    """summed cross-entropy"""
    top1_hits: int
    top5_hits: int
    unreadable: int
    predicted: Tensor
    """classes on the CPU, (N,); UNREAD where an image was not read"""


class Tally:
    """Counts of an evaluation of N images, each of which one process adds.

    Args:
        count: N.
        here: this process.
        first: index of the first of these images.
    """

    def __init__(self, count: int, here: World, *, first: int = 0) -> None:
        self._here, self._first = here, first
        self._sums = torch.zeros(4, dtype=torch.double, device=here.device)  # images, loss, top-1, top-5
        self._predicted = torch.full((count,), UNREAD, device=here.device)

    def add(self, network: nn.Module, batch: Batch, precision: str) -> None:
        """Evaluate a batch and count it; one without a readable image adds nothing."""
        if len(batch.labels):
            found, guesses = score(network, batch, self._here.device, precision)
            self._sums += found
            self._predicted[batch.indices.to(self._here.device) - self._first] = guesses

    def totals(self, unreadable: int) -> Totals:
        """Add up the counts of all processes, which must call this together.

        Args:
            unreadable: this process's number of unreadable images.
        """
        sums = torch.cat([self._sums, self._sums.new_tensor([unreadable])])
        if self._here.size > 1:
            dist.all_reduce(sums)
            dist.all_reduce(self._predicted, op=dist.ReduceOp.MAX)
        images, loss, top1, top5, unread = sums.tolist()
        return Totals(
            images=int(images),
            loss=loss,
            top1_hits=int(top1),
            top5_hits=int(top5),
            unreadable=int(unread),
            predicted=self._predicted.cpu(),
        )
