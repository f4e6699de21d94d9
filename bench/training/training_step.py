"""One training step: what the trainer repeats, and what the benchmark of its speed times.

Legend: B images of a micro-batch, K classes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.spec.recipe import Recipe
from bench.training.build import build_ema, build_optimizer
from bench.training.metrics import autocast


class TrainingStep:
    """A network with all that changes its weights.

    Nothing here reads a value back from the device: on a GPU, steps queue up.

    Args:
        recipe: optimizer, averaged weights and loss.
        network: on the device.
        device: of network and images.
        precision: of autocast.
        teacher: whose decisions a network with two heads learns beside the labels.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        device: torch.device,
        precision: str,
        teacher: nn.Module | None = None,
    ) -> None:
        self.recipe, self.network, self.device, self.precision = recipe, network, device, precision
        self.teacher = teacher
        self.forward: Callable[[Tensor], Any] = network
        """what computes the logits: the network, or what wraps it"""
        self.optimizer = build_optimizer(recipe, network)
        self.ema = build_ema(recipe, network)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy against labels (B,) or mixed labels (B, K), smoothed already if mixed."""
        smoothing = 0.0 if targets.is_floating_point() else self.recipe.label_smoothing
        with autocast(self.device, self.precision):
            logits = self.forward(images)
        if self.teacher is None:
            return functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
        # Hard distillation (Touvron et al. 2021, equation 3): a token each for the label and the teacher's decision.
        with torch.no_grad(), autocast(self.device, self.precision):
            decisions = self.teacher(images).argmax(1)
        by_label, by_teacher = (part.float() for part in logits)
        label_loss = functional.cross_entropy(by_label, targets, label_smoothing=smoothing)
        return (label_loss + functional.cross_entropy(by_teacher, decisions)) / 2

    def backward(self, loss: Tensor) -> None:
        """Add a loss's gradients to those since the last update."""
        self.scaler.scale(loss).backward()

    def update(self) -> None:
        """Change the weights by the gradients, average them, and drop the gradients."""
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.network)
