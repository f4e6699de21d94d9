"""Count accuracy, in training as in evaluation.

Legend: B images of a batch, K classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.training.data import Batch

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
