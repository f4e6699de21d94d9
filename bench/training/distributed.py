"""The processes that work on one thing together: this one among them, its device, and its share of the machine."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among those that work on one thing."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes and talks."""
        return self.rank == 0


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Join the processes that torchrun or Slurm started, or be alone."""
    env = os.environ
    together = "MASTER_ADDR" in env and "MASTER_PORT" in env  # salloc alone sets Slurm's variables too
    rank = int(env.get("RANK", env.get("SLURM_PROCID", 0))) if together else 0
    size = int(env.get("WORLD_SIZE", env.get("SLURM_NTASKS", 1))) if together else 1
    local_rank = int(env.get("LOCAL_RANK", env.get("SLURM_LOCALID", 0)))
    if torch.cuda.is_available():
        device = torch.device("cuda", local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
    if size == 1:
        yield World(rank=0, size=1, device=device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", rank=rank, world_size=size)
    try:
        yield World(rank=rank, size=size, device=device)
    finally:
        dist.destroy_process_group()


def automatic_workers(here: World) -> int:
    """Loading processes: this process's share of the cores that it may use."""
    if here.device.type == "cpu":
        return 0  # loading would compete with training
    on_this_node = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    # Where Slurm binds tasks to cores, the affinity is the task's share already; where not, the node is shared.
    cores = len(os.sched_getaffinity(0))
    bound = cores < (os.cpu_count() or 1)
    return max(1, min(8, cores - 1 if bound else cores // on_this_node))


def crowding(workers: int) -> str:
    """One line where more loading processes were asked for than there are cores for them; else empty."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{workers} loading processes share {cores} cores; --workers {cores} may be faster" if workers > cores else ""
    )


def device_name(device: torch.device) -> str:
    """The name of a GPU as its driver reports it, or cpu."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
