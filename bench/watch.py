"""What a user sees of a run: a progress bar an epoch on a terminal, an aligned line an epoch elsewhere."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Lines:
    """A line an epoch, on standard error."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        print(run_id, file=sys.stderr, flush=True)

    def step(self, *, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """Silent: a log wants no line a step."""

    def epoch(self, line: dict[str, float], *, images_per_s: float, epochs: int) -> None:
        """One aligned line."""
        accuracies = " ".join(
            f"{kind} top-1 {line[f'{kind}_top1_pct']:6.2f} top-5 {line[f'{kind}_top5_pct']:6.2f} "
            for kind in ("raw", "ema")
            if f"{kind}_top1_pct" in line
        )
        print(
            f"  epoch {line['epoch'] + 1:>4.0f}/{epochs}  lr {line['lr']:.2e}  loss {line['train_loss']:7.4f}  "
            f"{accuracies} {images_per_s:8.1f} images/s",
            file=sys.stderr,
            flush=True,
        )

    def note(self, text: str) -> None:
        """One line."""
        print(f"  {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is open."""


class Bars(Lines):
    """The same lines, and below them a bar for the epoch that runs."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.progress = Progress(
            TextColumn("  epoch {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[speed]:.1f} images/s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.task = self.progress.add_task("1", total=None, loss=float("nan"), speed=0.0)
        self.progress.start()

    def step(self, *, epoch: int, step: int, steps: int, loss: float, images_per_s: float) -> None:
        """Move the bar."""
        self.progress.update(
            self.task, description=str(epoch + 1), completed=step, total=steps, loss=loss, speed=images_per_s
        )

    def epoch(self, line: dict[str, float], *, images_per_s: float, epochs: int) -> None:
        """The line, and a fresh bar."""
        super().epoch(line, images_per_s=images_per_s, epochs=epochs)
        self.progress.reset(self.task)

    def close(self) -> None:
        """Take the bar away."""
        self.progress.stop()


def watch(run_id: str) -> Lines:
    """A bar on a terminal, lines elsewhere."""
    return Bars(run_id) if sys.stderr.isatty() else Lines(run_id)
