"""Weights & Biases, on its server or, with ``WANDB_MODE=offline``, in the run's folder for ``wandb sync``.

Its own environment variables choose server, entity, project and mode.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.launch.loggers import PROJECT, LoggedRun

LIBRARIES = ("wandb",)


class Logger:
    """The run on the server, which tells the step to go on from; or a new folder, which replaces older ones."""

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        spec = run.spec
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.key,
            name=spec.run_id,
            group=run.group,
            tags=[text[:64] for text in (spec.model, spec.dataset, spec.recipe.name)],  # it takes no longer ones
            config=run.config,
            dir=str(run.folder),
            resume=None if os.environ.get("WANDB_MODE") == "offline" else "allow",
            settings=wandb.Settings(silent=True, console="off"),
        )
        self._next = self._run.starting_step
        if self._run.offline:
            # What it wrote offline it cannot read. So each attempt writes all epochs, and the older ones' go.
            current = Path(self._run.dir).parent
            for folder in current.parent.glob(f"offline-run-*-{run.key}"):
                if folder != current:
                    shutil.rmtree(folder)

    def has(self, name: str, epoch: int) -> bool:
        """Whether the server holds the epoch; one row holds all values of an epoch."""
        return epoch < self._next

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log one row."""
        self._run.log(dict(values), step=epoch, commit=True)

    def end(self, status: str) -> None:
        """Finish the run, which waits for the server."""
        self._run.finish(exit_code=0 if status == "completed" else 1)
