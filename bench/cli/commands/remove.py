"""``run_all.py remove``: delete the folders of runs by name, but of none that is queued or trained."""

import argparse
import contextlib
import fcntl
import shutil
from collections.abc import Sequence
from pathlib import Path

from bench.cli.commands.status import look_at
from bench.cli.output import confirmed, finish
from bench.cli.parser import Parser
from bench.cli.run_selection import ChosenRuns, add_chosen, chosen_by
from bench.launch.run_state import RunState, run_state
from bench.launch.slurm.queue import look
from bench.results.run_folder import open_lock
from bench.spec.errors import RequestError

HELP = "delete runs and their results, by id, network, state, job or field"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    add_chosen(parser)


def request(arguments: Sequence[str]) -> ChosenRuns:
    """Read the command line."""
    parser = Parser(
        "remove", description="Delete runs and their results for good. The command that started them trains them anew."
    )
    add_options(parser)
    return chosen_by(parser.parse_args(arguments))


def run(asked: ChosenRuns) -> int:
    """Delete the folders; returns the exit code, 1 if one of them cannot be deleted.

    Raises:
        RequestError: a pattern matches nothing, one of the runs is under way, or nobody confirms.
    """
    ids = [line.run_id for line in look_at(asked.runs, asked.patterns).lines]
    queue = look(asked.runs, ids)
    if busy := [f"{run_id} ({why})" for run_id in ids if (why := _under_way(run_state(asked.runs, run_id, queue)))]:
        raise RequestError(
            f"nothing was removed: queued or being trained: {', '.join(busy)}; stop them first with run_all.py cancel"
        )
    if not asked.as_json:
        print("\n".join(ids))
    if not asked.yes and not confirmed(f"remove these {len(ids)} for good", "removed", as_json=asked.as_json):
        return 0
    removed, failures = [], []
    for run_id in ids:
        try:
            _remove(asked.runs / run_id)
            removed.append(run_id)
        except (OSError, RequestError) as error:
            failures.append(f"{run_id}: {error}")
    if not asked.as_json:
        print(f"removed {len(removed)}")
    return finish({"removed": removed} if asked.as_json else None, failures)


def _under_way(found: RunState) -> str:
    """The process or job that has the run, or may have it; empty if none does."""
    if found.job_alive:
        return f"job {found.job}"
    return found.trained_by or found.unsure


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
        return
    with open_lock(folder) as lock, contextlib.suppress(FileNotFoundError):  # another command removes it, too
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RequestError("a process has just started to train it") from None
        shutil.rmtree(folder)
