"""Memory that batches of images use in turn."""

import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

Pages = np.ndarray[Any, np.dtype[np.float32]]


class Buffers:
    """Memory for batches, used again once nobody holds the batch: fresh pages cost as much as filling them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.lent: list[tuple[Pages, weakref.ref[Pages]]] = []

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        """A tensor of any content; on a GPU torch keeps such memory itself."""
        if self.device.type != "cpu":
            return torch.empty(shape, device=self.device)
        free = next((pages for pages, lent in self.lent if lent() is None and pages.shape == shape), None)
        pages = np.empty(shape, np.float32) if free is None else free
        view = pages[:]  # the tensor holds it, and so does whatever shares the tensor's memory
        kept = [(other, lent) for other, lent in self.lent if other is not pages]
        self.lent = [*kept[-3:], (pages, weakref.ref(view))]
        return torch.from_numpy(view)
