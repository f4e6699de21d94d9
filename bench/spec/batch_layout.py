"""The layout of a global batch over processes, local batches and micro-batches. Standard library only.

Legend: a global batch consists of local batches, the images over which batch-norm statistics are computed and one
mixup draw is made. They belong to the recipe. A process holds whole local batches, or a part of one, and takes it in
micro-batches, which belong to the machine: they change how much memory a step needs, and nothing else.
"""

import math
from dataclasses import dataclass

from bench.spec.errors import RequestError
from bench.spec.recipe import Recipe, divisors


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The images of one local batch that one process trains on, by their rows in the local batch."""

    place: int
    """of the local batch in the global batch, by its first image; seeds all that is drawn for it"""
    rows: range
    """that the process trains on"""
    loaded: range
    """that it loads: all rows where they are mixed, since an image's partner may be another process's"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLayout:
    """One process's share of every global batch; made by ``lay_out``."""

    global_batch: int
    local_batch: int
    """images that divide the global batch"""
    micro_batch: int
    """images that divide both the local batch and what the process has of it"""
    parts: tuple[Part, ...]
    """in order"""

    @property
    def splits_local_batches(self) -> bool:
        """Whether no device takes a whole local batch at once."""
        return self.micro_batch < self.local_batch

    @property
    def micro_batches(self) -> int:
        """The micro-batches of this process in each step."""
        return sum(len(part.rows) for part in self.parts) // self.micro_batch


def lay_out(recipe: Recipe, rank: int, world_size: int, most: int) -> BatchLayout:
    """A process's share of a recipe's global batch.

    Args:
        recipe: whose global and local batch.
        rank: of the process.
        world_size: number of processes.
        most: images that a device may take at once.

    Raises:
        RequestError: the global batch cannot be shared equally.
    """
    require_equal_shares(recipe, world_size)
    share, size = recipe.global_batch // world_size, recipe.effective_local_batch
    common = math.gcd(share, size)  # so that no micro-batch reaches over the end of a local batch
    begin, end = rank * share, (rank + 1) * share
    parts = []
    for place in range(begin // size * size, end, size):
        rows = range(max(begin - place, 0), min(end - place, size))
        parts.append(Part(place=place, rows=rows, loaded=range(size) if recipe.mixes else rows))
    return BatchLayout(
        global_batch=recipe.global_batch,
        local_batch=size,
        micro_batch=max(divisor for divisor in divisors(common) if divisor <= most),
        parts=tuple(parts),
    )


def require_equal_shares(recipe: Recipe, world_size: int) -> None:
    """Refuse processes of which each cannot have as many images of a global batch as any other.

    Raises:
        RequestError: names the numbers of processes that can.
    """
    if recipe.global_batch % world_size:
        raise RequestError(
            f"a global batch of {recipe.global_batch} cannot be split over {world_size} processes; choose "
            f"{_listed(divisors(recipe.global_batch))}"
        )


def require_whole_local_batches(layout: BatchLayout, why: str, world_size: int, most: int) -> None:
    """Refuse a layout that splits local batches.

    Args:
        layout: of any process.
        why: they must be whole, as a clause.
        world_size: number of processes.
        most: images that a device may take at once.

    Raises:
        RequestError: names what to choose instead.
    """
    if not layout.splits_local_batches:
        return
    size, count = layout.local_batch, layout.global_batch // layout.local_batch
    if count % world_size:
        raise RequestError(
            f"{why}, and a global batch of {layout.global_batch} has {count} of them, which {world_size} processes "
            f"cannot share; choose {_listed(divisors(count))}, or another recipe with --set local_batch=N"
        )
    raise RequestError(
        f"{why}, and --micro-batch {most} splits them; choose --micro-batch {size} or more, or another recipe with "
        "--set local_batch=N"
    )


def _listed(numbers: list[int]) -> str:
    *rest, last = map(str, numbers)
    return f"{', '.join(rest)} or {last} processes" if rest else f"{last} process"
