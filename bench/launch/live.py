"""The display of runs on this machine: the lines of their logs and, on a terminal, the progress of each."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.launch.labels import labels
from bench.launch.watch import INSIDE
from bench.results.progress import Phase, Progress, duration, speed
from bench.results.run_folder import last_owner, load_progress
from bench.spec.run import RunSpec
from bench.spec.text import beneath, printable

REFRESH_S = 0.25

LEAST_BAR = 8
"""columns; what else would stand beside a shorter bar is left out"""


@dataclass(slots=True, kw_only=True)
class _Run:
    """One that is under way."""

    spec: RunSpec
    place: int
    """among those of the command, from 1"""
    log: Path
    shown: int = 0
    """bytes of its log"""
    progress: Progress | None = None
    began: float = field(default_factory=time.monotonic)


class LiveView:
    """Follows runs from outside their processes; everything goes to standard error.

    Args:
        runs: the folder of all runs.
        specs: those that the command trains.
        at_once: as many of them.
    """

    def __init__(self, runs: Path, specs: Sequence[RunSpec], at_once: int) -> None:
        self._runs, self._specs, self._at_once = runs, specs, at_once
        self._labels = labels(specs)
        self._console = Console(file=beneath(sys.stderr), highlight=False)
        self._active: dict[str, _Run] = {}
        self._ended: set[str] = set()
        self._begun = 0
        self._pace = Pace()
        self._refreshed = 0.0
        self._stopping = False
        self._speaker = ""
        self._live = Live(console=self._console, auto_refresh=False, transient=True, get_renderable=self._render)

    def __enter__(self) -> "LiveView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begin(self, spec: RunSpec, log: Path) -> None:
        """Follow a run that was started."""
        self._begun += 1
        self._active[spec.run_id] = _Run(spec=spec, place=self._begun, log=log)
        if not self._console.is_terminal:
            self._introduce(spec.run_id)

    def show(self, run_id: str) -> None:
        """Show what is new of it."""
        run = self._active[run_id]
        try:
            with run.log.open("rb") as file:
                file.seek(run.shown)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            whole = newline = b""
        run.shown += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            if line.startswith("bench: ") or line == run_id:
                continue  # what went wrong is said at the end, and its name has been
            if line.startswith(INSIDE) and self._console.is_terminal:
                continue
            if self._speaker != run_id:
                self._introduce(run_id)
            self._print(line)
        if self._console.is_terminal and time.monotonic() - self._refreshed > REFRESH_S:
            self._refreshed = time.monotonic()
            for each in self._active.values():
                owner = last_owner(self._runs / each.spec.run_id)
                each.progress = load_progress(self._runs / each.spec.run_id, owner) if owner else None
            self._live.refresh()

    def end(self, run_id: str) -> None:
        """Show the rest of a run whose process is gone."""
        self.show(run_id)
        run = self._active.pop(run_id)
        self._ended.add(run_id)
        self._pace.took(run.spec, time.monotonic() - run.began)
        left = self._left_s()
        if left and not (self._stopping or self._console.is_terminal):
            self._print(self._standing(left))

    def stop(self) -> None:
        """Say that the runs were asked to save and stop."""
        self._stopping = True
        if not self._console.is_terminal:
            self._print("stopping once the runs have saved themselves")

    def _introduce(self, run_id: str) -> None:
        self._speaker = run_id
        run = self._active[run_id]
        alone = len(self._specs) == 1
        in_log = run_id if alone else f"{self._title(run)}  {run_id}"
        self._print(self._title(run) if self._console.is_terminal else in_log, "bold")

    def _title(self, run: _Run) -> str:
        return f"run {run.place} of {len(self._specs)}  {self._labels[run.spec.run_id]}"

    def _print(self, line: str, style: str = "") -> None:
        if not self._console.is_terminal:
            print(line, file=sys.stderr, flush=True)
            return
        text = printable(line.lstrip())
        indent = len(line) - len(text)
        wrapped = Text(text, style).wrap(self._console, max(20, self._console.width - indent - 2))
        for number, part in enumerate(wrapped):
            part.rstrip()
            self._console.print(Text(" " * (indent + (2 if number else 0))) + part)

    def _left_s(self) -> float | None:
        active = [(run.spec, run.progress) for run in self._active.values()]
        waiting = [s for s in self._specs if s.run_id not in self._active and s.run_id not in self._ended]
        return self._pace.left_s(active, waiting, self._at_once)

    def _standing(self, left: float | None) -> str:
        """The progress of the whole command."""
        done = f"{len(self._ended)} of {len(self._specs)} runs done"
        return f"{done}, about {duration(left)} left" if left is not None else done

    def _render(self) -> RenderableType:
        width = self._console.width
        parts: list[RenderableType] = []
        for run in self._active.values():
            parts.append(Text(self._title(run), "bold", no_wrap=True, overflow="ellipsis"))
            parts.append(_bar(run.progress, width - 2))
        if self._stopping:
            last = "stopping once the runs have saved themselves"
        else:
            last = "Ctrl-C saves and stops"
            last = f"{self._standing(self._left_s())}; {last}" if len(self._specs) > 1 else last
        # The last line is short: a terminal writes ^C behind it.
        return Group(*parts, Text(last, "dim", no_wrap=True, overflow="ellipsis"))


def _bar(progress: Progress | None, width: int) -> RenderableType:
    """One line of at most ``width`` columns, two further right."""
    if progress is None or progress.phase in (Phase.READING, Phase.BUILDING):
        return Text(f"  {progress.phase if progress else 'starting'}")
    head = progress.current_epoch
    if progress.phase is Phase.SAVING:
        return Text(f"  {head}, {progress.phase}")
    head += f", {progress.phase}" if progress.phase is Phase.VALIDATING else ""
    facts = {
        "step": f"{progress.step:,}/{progress.steps:,}" if progress.steps else "",
        "loss": f"loss {progress.loss:.4f}" if progress.loss is not None else "",
        "speed": speed(progress.images_per_s) if progress.images_per_s else "",
        "left": f"{duration(progress.left_s)} left" if progress.left_s is not None else "",
    }
    for dispensable in ("speed", "loss", "step"):
        if len("  ".join([head, *filter(None, facts.values())])) + 2 + LEAST_BAR <= width:
            break
        facts[dispensable] = ""
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for _ in range(2):
        grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    bar = ProgressBar(total=progress.steps or 1, completed=progress.step)
    grid.add_row("", head, bar, Text("  ".join(filter(None, facts.values()))))
    return grid


class Pace:
    """The time that runs take, judged by those before them."""

    def __init__(self) -> None:
        self._epoch_s: dict[tuple[str, str, int], float] = {}

    def took(self, spec: RunSpec, seconds: float) -> None:
        """Remember a run that has ended."""
        self._epoch_s[_kind(spec)] = seconds / spec.recipe.total_epochs

    def left_s(
        self, active: Sequence[tuple[RunSpec, Progress | None]], waiting: Sequence[RunSpec], at_once: int
    ) -> float | None:
        """Estimate the seconds to the end of all; None while nothing is known of one that runs.

        Args:
            active: runs under way, and how far each is.
            waiting: runs that will follow.
            at_once: how many run at a time.
        """
        left: list[float] = []
        known = self._epoch_s
        for spec, progress in active:
            if progress is None or progress.left_s is None or not progress.epochs:
                if _kind(spec) not in known:
                    return None
                left.append(known[_kind(spec)] * spec.recipe.total_epochs)
                continue
            left.append(progress.left_s)
            if (epochs := progress.epochs - progress.epoch - progress.part_of_epoch) > 0:  # else it is as good as over
                known[_kind(spec)] = progress.left_s / epochs
        if not known:
            return None
        usual = sum(known.values()) / len(known)
        later = sum(known.get(_kind(spec), usual) * spec.recipe.total_epochs for spec in waiting)
        return max(max(left, default=0.0), (sum(left) + later) / max(1, min(at_once, len(active) + len(waiting))))


def _kind(spec: RunSpec) -> tuple[str, str, int]:
    """Runs that take as long an epoch."""
    return spec.model, spec.dataset, spec.img_size
