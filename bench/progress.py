"""What the user sees of runs on this machine: the lines of their logs, and on a terminal a bar for each that runs."""

import sys
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from bench.run_folder import last_owner, load_progress
from bench.specs import RunSpec


class Progress:
    """Follows runs from outside their processes; everything goes to standard error.

    Args:
        runs: the folder of all runs.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        columns = (
            TextColumn("  {task.description}, epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.4f}  {task.fields[speed]:.1f} images/s"),
            TimeRemainingColumn(),
        )
        self._bars = Bars(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._tasks: dict[str, TaskID] = {}
        self._logs: dict[str, tuple[Path, int]] = {}  # with the place up to which it was shown
        self._speaker = ""

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, spec: RunSpec, log: Path) -> None:
        """Follow a run that was started."""
        self._logs[spec.run_id] = log, 0
        self._tasks[spec.run_id] = self._bars.add_task(
            f"{spec.model} s{spec.seed}", total=None, epoch=1, loss=float("nan"), speed=0.0
        )

    def show(self, run_id: str) -> None:
        """What is new of it."""
        log, place = self._logs[run_id]
        try:
            with log.open("rb") as file:
                file.seek(place)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return
        self._logs[run_id] = log, place + len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            if line.startswith("bench: "):
                continue  # what went wrong is said at the end
            if run_id not in (self._speaker, line):
                self._print(run_id)
            self._speaker = run_id
            self._print(line)
        if self._console.is_terminal:
            self._move(run_id)

    def end(self, run_id: str) -> None:
        """Its process is gone."""
        self.show(run_id)
        self._bars.remove_task(self._tasks.pop(run_id))

    def _print(self, line: str) -> None:
        if self._console.is_terminal:
            self._console.print(line, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _move(self, run_id: str) -> None:
        owner = last_owner(self._runs / run_id)
        told = load_progress(self._runs / run_id, owner) if owner else {}
        if told:
            self._bars.update(
                self._tasks[run_id],
                epoch=int(told["epoch"]) + 1,
                completed=told["step"],
                total=told["steps"],
                loss=told["loss"],
                speed=told["images_per_s"],
            )
