"""``run_all.py status`` on a terminal: failures first, and what is alike counted in a line."""

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from bench.cli.commands.status import Look, Status, cells, counts
from bench.launch.run_state import State
from bench.spec.text import beneath, printable

_STYLES = {
    "failed": "bold red",
    "diverged": "bold red",
    "killed": "red",
    "blocked": "yellow",
    "interrupted": "yellow",
    "running": "green",
    "queued": "cyan",
    "not begun": "dim",
}
_FIRST_COUNTED = ("not begun", "completed", "queued", "blocked", "interrupted")
"""states of which many are counted in one line, where not all runs have room"""

_ALWAYS = ("run", "state", "epoch", "top-1 %")
_OFTEN = (*_ALWAYS[:1], "settings", *_ALWAYS[1:], "left")
_USUAL = (*_OFTEN, "images/s")
_ALL = (*_USUAL, "restarts", "node", "job")
_LAYOUTS = ((_ALL, 0), (_USUAL, 0), (_ALL, 1), (_USUAL, 1), (_USUAL, 2), (_OFTEN, 2), (_ALWAYS, 2), (_ALWAYS, 3))
"""columns, and how far run ids are shortened; the first that fits is taken, and what has no column stands below"""

_EMPTY = ("-", "", "0")
"""cells that say nothing"""

_AROUND = 5
"""lines around the rows: heads, what ids have in common, counts, and the prompt"""

_RUN_ID = re.compile(r"(?P<model>[^-]+)-(?P<dataset>.+)-(?P<recipe>[^-]+)-(?P<seed>s\d+)-(?P<digits>[0-9a-f]{8})")


class StatusTable:
    """Rich's view of a look at runs.

    Args:
        look: at them.
        runs: their folder.
        grouped: count what is alike where not every run has room.
    """

    def __init__(self, look: Look, runs: Path, *, grouped: bool) -> None:
        self._look, self._runs, self._grouped = look, runs, grouped

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._look.lines:
            yield Text(printable(f"no runs in {self._runs}"))
        else:
            yield from self._rows(console, options)
        yield Text(" ".join(filter(None, [self._look.at, "", counts(self._look.lines)])), "bold")
        if self._look.silence:
            silence = printable(self._look.silence)
            yield Text(f"Slurm does not answer, so these are the states that the runs recorded: {silence}", "yellow")

    def _rows(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        order = list(State)
        lines = sorted(self._look.lines, key=lambda line: order.index(line.state))
        items: list[Status | Counted] = list(lines)
        if self._grouped:
            items = fitting(lines, console.height - _AROUND, lambda s: 1 + -(-len(self._details(s, _USUAL)) // width))
        shown = [item for item in items if isinstance(item, Status)]
        table, columns, shared = _layout(console, options, shown)
        rendered = iter(console.render_lines(table, options.update(width=width), pad=False))
        if shown:
            yield from (*next(rendered), Segment.line())
        for item in items:
            if isinstance(item, Counted):
                yield Text(item.text, "dim")
                continue
            yield from (*next(rendered), Segment.line())
            if details := self._details(item, columns):
                yield Padding(Text(details, "dim"), (0, 0, 0, 2))
        if shared:
            yield Text(f"ids begin with {shared}", "dim")
        if len(shown) < len(lines):
            yield Text("run_all.py status RUN... shows each in full", "dim")

    def _details(self, line: Status, columns: Sequence[str]) -> str:
        """Details of a run that have no column: all of them if runs were selected, otherwise the important ones."""
        row = {
            name: value for name, value in cells(line).items() if name not in columns and value not in ("-", "", "0")
        }
        facts = [f"{row[name]} {unit}" for name, unit in (("left", "left"), ("images/s", "images/s")) if name in row]
        facts += [f"{row['GPU h']} GPU h"] if "GPU h" in row else []
        facts += [f"{name} {row[name]}" for name in ("waited", "lost", "restarts", "node", "job") if name in row]
        log = f"log {row['log']}" if "log" in row else ""
        own = row.get("settings", "")
        if not self._grouped or line.state == "running":
            parts = [line.why, own, ", ".join(facts), log]
        else:
            parts = [line.why, own, "" if line.state in ("completed", "queued") else log]
        return "; ".join(filter(None, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One line for several runs."""

    runs: int
    text: str


def fitting(lines: Sequence[Status], most: int, size: Callable[[Status], int]) -> list[Status | Counted]:
    """Fit lines into the room there is, failures first, and count the others.

    Args:
        lines: in order of state.
        most: lines of the terminal.
        size: lines of the terminal that a run takes.
    """
    runs: dict[str, list[Status]] = {}
    for line in lines:
        runs.setdefault(line.state, []).append(line)
    groups: dict[str, list[Status | Counted]] = {state: list(group) for state, group in runs.items()}

    def height(state: str) -> int:
        return sum(size(item) if isinstance(item, Status) else 1 for item in groups[state])

    heights = {state: height(state) for state in groups}
    for state in _FIRST_COUNTED:
        if sum(heights.values()) > most and len(runs.get(state, [])) > 1:
            groups[state] = [_counted(state, runs[state])]
            heights[state] = 1
    for state in groups:
        if sum(heights.values()) > most and len(groups[state]) > 2:
            groups[state] = list(_once_a_reason(state, runs[state]))
            heights[state] = height(state)
    for state in reversed(groups):
        hidden = 0
        while sum(heights.values()) + bool(hidden) > most and len(groups[state]) > 1:
            item = groups[state].pop()
            hidden += item.runs if isinstance(item, Counted) else 1
            heights[state] -= 1 if isinstance(item, Counted) else size(item)
        if hidden:
            groups[state].append(Counted(runs=hidden, text=f"… and {hidden:,} more {state}"))
            heights[state] += 1
    return [item for group in groups.values() for item in group]


def _once_a_reason(state: str, group: Sequence[Status]) -> Iterator[Status | Counted]:
    """The first run of each reason, and how many others have the same."""
    by_reason: dict[str, list[Status]] = {}
    for line in group:
        by_reason.setdefault(line.why.replace(line.run_id, ""), []).append(line)
    for alike in by_reason.values():
        if len(alike) <= 2 or not alike[0].why:
            yield from alike
        else:
            rest = len(alike) - 1
            yield alike[0]
            yield Counted(runs=rest, text=f"… and {rest:,} more {state} for the same reason")


def _counted(state: str, group: Sequence[Status]) -> Counted:
    tops = [line.best_top1_pct for line in group if line.best_top1_pct is not None]
    found = f", top-1 from {min(tops):.2f} to {max(tops):.2f} %" if tops else ""
    return Counted(runs=len(group), text=f"{len(group):,} {state}{found}")


def _layout(console: Console, options: ConsoleOptions, shown: Sequence[Status]) -> tuple[Table, Sequence[str], str]:
    """The first layout that fits: its table, its columns, and what was left out of the ids in front."""
    ids = [line.run_id for line in shown]
    rows = [cells(line) for line in shown]
    used = [name for name in _ALL if name in _ALWAYS or any(row[name] not in _EMPTY for row in rows)]
    for names, level in _LAYOUTS:
        columns = [name for name in names if name in used]
        short, shared = shortened(ids, level)
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=True, header_style="bold")
        for name in columns:
            left = name in ("run", "settings", "state", "node", "job")
            table.add_column(name, justify="left" if left else "right", no_wrap=True)
        for line, row, run in zip(shown, rows, short, strict=True):
            style = _STYLES.get(line.state, "")
            table.add_row(*(Text(run if n == "run" else row[n], style if n == "state" else "") for n in columns))
        if Measurement.get(console, options.update(max_width=10_000), table).maximum <= options.max_width:
            break
    return table, columns, shared


def shortened(ids: Sequence[str], level: int) -> tuple[list[str], str]:
    """Run ids, shorter with each level: whole; without what all share in front; without data set and recipe; digits.

    Returns:
        The ids, which end with their digits, and what all of them began with where that was left out.
    """
    parts = [match.groupdict() if (match := _RUN_ID.fullmatch(run_id)) else None for run_id in ids]
    found = [part for part in parts if part]
    if level == 0 or len(found) < len(ids) or not found:
        return list(ids), ""
    names = ["model", "dataset", "recipe", "seed", "digits"]
    shared: list[str] = []
    if len(ids) > 1:
        for name in names[:-1]:
            if len({part[name] for part in found}) > 1:
                break
            shared.append(found[0][name])
    kept = names[len(shared) :]
    if level == 2:
        kept = [name for name in kept if name not in ("dataset", "recipe")]
    if level == 3:
        kept = ["digits"]
    begin = "…" if len(kept) < len(names) else ""
    return [begin + "-".join(part[name] for name in kept) for part in found], "-".join([*shared, ""]) if shared else ""


def print_table(look: Callable[[], Look], runs: Path, *, grouped: bool) -> int:
    """Print how the runs stand."""
    _console().print(StatusTable(look(), runs, grouped=grouped))
    return 0


def follow(look: Callable[[], Look], runs: Path, *, grouped: bool) -> int:
    """Show how the runs stand, again and again until Ctrl-C; the last look stays on the terminal."""
    console = _console()
    now = look()
    with contextlib.suppress(KeyboardInterrupt), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(StatusTable(now, runs, grouped=grouped), refresh=True)
            console.control(Control.home())  # where a terminal writes ^C, which at the end would scroll it
            time.sleep(now.pause_s)
            now = look()
    console.print(StatusTable(now, runs, grouped=grouped))
    return 0


def _console() -> Console:
    return Console(file=beneath(sys.stdout), highlight=False)
