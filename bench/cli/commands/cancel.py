"""``run_all.py cancel``: stop runs by name, on Slurm and on this machine."""

import argparse
import contextlib
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cli.commands.status import look_at
from bench.cli.output import confirmed
from bench.cli.parser import Parser
from bench.cli.run_selection import ChosenRuns, add_chosen, chosen_by
from bench.launch.run_state import run_state
from bench.launch.slurm import client as slurm
from bench.launch.slurm.ask import Refused
from bench.launch.slurm.queue import Queue, look
from bench.results.files import CorruptFile
from bench.results.spec_file import load_spec
from bench.spec.errors import RequestError
from bench.spec.text import complain

HELP = "stop runs, by id, network, state, job or field; they save themselves first"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    add_chosen(parser)


def request(arguments: Sequence[str]) -> ChosenRuns:
    """Read the command line."""
    parser = Parser(
        "cancel", description="Stop runs. Each saves itself first, and the command that started it resumes it."
    )
    add_options(parser)
    return chosen_by(parser.parse_args(arguments))


def run(asked: ChosenRuns) -> int:
    """Stop the runs; returns the exit code, 1 if one of them cannot be stopped from here."""
    ids = [line.run_id for line in look_at(asked.runs, asked.patterns).lines]
    queue = look(asked.runs)
    jobs: dict[str, str] = {}
    processes: dict[str, int] = {}
    out_of_reach = []
    for run_id in ids:
        found = run_state(asked.runs, run_id, queue)
        owner = found.owner
        if found.job_alive:
            jobs[run_id] = found.job
        elif found.trained_by and owner and owner.host == socket.gethostname():
            processes[run_id] = owner.pid
        elif found.trained_by or found.unsure:
            out_of_reach.append(f"{run_id}: {found.unsure or f'trained by {found.trained_by}: stop it there'}")
    if bereft := _waiting_for(jobs, asked.runs, queue):
        raise RequestError(
            f"{', '.join(bereft)} would start from what you cancel; name them too, as in cancel "
            + " ".join([*asked.patterns, *bereft])
        )
    count = len(jobs) + len(processes)
    if not asked.as_json:
        for run_id in ids:
            if run_id in jobs or run_id in processes:
                print(f"{run_id}  " + (f"job {jobs[run_id]}" if run_id in jobs else f"pid {processes[run_id]}"))
    if count and not asked.yes and not confirmed(f"cancel these {count}", "cancelled", as_json=asked.as_json):
        return 0
    if jobs:
        out_of_reach += _cancel_jobs(jobs, queue)
    for pid in processes.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    if asked.as_json:
        print(json.dumps({"jobs": jobs, "pids": processes, "failures": out_of_reach}, indent=2))
    else:
        print("cancelled; the command that started them resumes them" if count else "none of them is queued or running")
    for line in out_of_reach:
        complain(line)
    return 1 if out_of_reach else 0


def _cancel_jobs(jobs: Mapping[str, str], queue: Queue) -> list[str]:
    """Cancel the jobs, by run id; returns a line for each that another user owns, or that still waits in the queue."""
    waiting = dict(jobs)
    refusal = ""
    for _ in range(3):
        try:
            slurm.cancel(waiting.values())
        except Refused as error:
            refusal = f" ({error})"
        found = slurm.tasks(job.partition("_")[0] for job in waiting.values())
        alive = ("PENDING", "RUNNING") if refusal else ("PENDING",)
        waiting = {run: job for run, job in waiting.items() if job in found and found[job].state in alive}
        if not waiting:
            break
    mine = slurm.user_name()
    users = {job: queue.tasks[job].user for job in waiting.values()}
    return [
        f"{run_id}: job {job} belongs to {users[job]}, who can cancel it{refusal}"
        if users[job] not in ("", mine)
        else f"{run_id}: job {job} is still in the queue{refusal}"
        for run_id, job in waiting.items()
    ]


def _waiting_for(jobs: Mapping[str, str], runs: Path, queue: Queue) -> list[str]:
    """Ids of queued runs that start from one of these and are none of them: Slurm may let them go without it."""
    found = []
    for run_id in queue.by_run.keys() - jobs.keys():
        if run_state(runs, run_id, queue).job_state == "PENDING":
            with contextlib.suppress(FileNotFoundError, CorruptFile):
                parent = load_spec(runs / run_id).start_from
                if parent and parent.run_id in jobs:
                    found.append(run_id)
    return sorted(found)
