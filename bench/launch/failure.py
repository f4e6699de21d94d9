"""The process of a run that failed first, and its failure: by its own account, or by Slurm's."""

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.launch.log import end_of, last_words
from bench.results.codec import decode, parse
from bench.results.run_folder import slurm_job

LEAST_TAIL = 64_000
"""bytes of a log in which its last attempt is looked for"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The end of an attempt at a run."""

    words: str
    """what the process said last, or what Slurm said of it"""
    rank: int = 0
    node: str = ""
    log: str = ""
    """of that process; empty if nobody knows"""
    processes: int = 1
    raised: bool = False
    """whether it was an error of the program's, and not a signal from outside"""
    job: str = ""
    """Slurm's id of the attempt's job, if it was one"""

    @property
    def is_out_of_memory(self) -> bool:
        """Whether the machine's memory, and not a GPU's, was too little."""
        return bool(_OUT_OF_MEMORY.search(self.words)) and "CUDA" not in self.words

    def __str__(self) -> str:
        if self.processes == 1:
            return self.words
        return f"rank {self.rank} of {self.processes} on {self.node}: {self.words}" + (
            f" (log: {self.log})" if self.log else ""
        )


_OUT_OF_MEMORY = re.compile(
    r"out of memory|oom[-_ ]?kill|exceeded (job )?memory limit|\bMemoryError\b|cannot allocate memory|"
    r"can't allocate memory|unable to allocate|bad_alloc|failed to map segment",
    re.IGNORECASE,
)


def _attempt() -> str:
    """The same in all processes of an attempt, and in no other attempt."""
    job, restart = slurm_job()
    return f"{job}-{restart}" if job else f"pid{os.getppid()}"


@contextlib.contextmanager
def noted(folder: Path, *expected: type[Exception]) -> Iterator[None]:
    """Note an error that comes out of the block, if no other process of this attempt has had one before.

    The others then fail for want of this one, and their words mislead.

    Args:
        folder: of the run.
        expected: errors that are no failure.
    """
    try:
        yield
    except expected:
        raise
    except Exception as error:
        processes = int(os.environ.get("WORLD_SIZE", 1))
        if processes > 1:
            failure = Failure(
                words=one_line(error),
                rank=int(os.environ.get("RANK", 0)),
                node=os.environ.get("SLURMD_NODENAME", socket.gethostname()),
                log=_own_log(),
                processes=processes,
                raised=True,
                job=slurm_job()[0],
            )
            with contextlib.suppress(OSError), (folder / f"first_error-{_attempt()}.json").open("x") as file:
                file.write(json.dumps(asdict(failure)) + "\n")
        raise


def one_line(error: Exception) -> str:
    """An error's type and its words."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _own_log() -> str:
    if "SUBMITIT_EXECUTOR" not in os.environ:
        return ""
    from submitit import JobEnvironment

    return str(JobEnvironment().paths.stderr)


def forget_others(folder: Path) -> None:
    """Remove what earlier attempts have noted."""
    for path in folder.glob("first_error-*.json"):
        if path.name != f"first_error-{_attempt()}.json":
            path.unlink(missing_ok=True)


def of_another_process(folder: Path) -> str:
    """The process that failed first in this attempt, if it was not this one."""
    found = _read(folder / f"first_error-{_attempt()}.json")
    return str(found) if found and found.rank != int(os.environ.get("RANK", 0)) else ""


def noted_of(folder: Path, job: str) -> Failure | None:
    """The failure noted by the newest attempt of a job."""
    # A pattern for each job would be compiled for each run that status looks at.
    paths = [path for path in folder.glob("first_error-*.json") if path.name.startswith(f"first_error-{job}-")]
    return _read(max(paths, key=lambda path: int(path.stem.rpartition("-")[2]))) if paths else None


def _read(path: Path) -> Failure | None:
    try:
        return decode(parse(path.read_text()), Failure)
    except (OSError, ValueError):
        return None


def from_log(log: Path, processes: int) -> Failure | None:
    """The end of a job's newest attempt, according to its script's log; None if the log does not say.

    Args:
        log: of the script, which is that of its first process too.
        processes: of the job.
    """
    try:
        text = end_of(log, LEAST_TAIL)
    except OSError:
        return None
    text = text[text.rfind(BEGINS) :] if BEGINS in text else text
    ended = re.search(ENDED + r" (\d+)", text)
    told = re.search(rf"^{re.escape(SETUP_ENDED)} \d+", text, re.MULTILINE)
    if told:
        before = [line for line in text[: told.start()].splitlines() if line and not line.startswith("slurm: ")]
        return Failure(words=f"{told[0].removeprefix('bench: ')}" + (f": {before[-1]}" if before else ""))
    first = re.search(r"^srun: error: (\S+): tasks? (\d+)[\d,-]*: (.+)$", text, re.MULTILINE)
    memory = re.search(r"^.*(?:oom[-_ ]?kill|exceeded (?:job )?memory limit).*$", text, re.MULTILINE | re.IGNORECASE)
    if not (first or memory or ended):
        return None
    rank, node = (int(first[2]), first[1]) if first else (0, "")
    own = log.with_name(log.name.replace("_0_log", f"_{rank}_log")) if rank else log
    words = last_words(own)
    if memory:
        words = f"out of memory: {_without_speaker(memory[0])}"
    elif first and not first[3].startswith("Exited"):
        words = "out of memory" if first[3] == "Out Of Memory" else first[3].lower()
    raised = bool(first and first[3].startswith("Exited"))
    return Failure(words=words, rank=rank, node=node, log=str(own), processes=processes, raised=raised)


BEGINS = "slurm: the job begins"
ENDED = "slurm: the job ended with exit code"
SETUP_ENDED = "bench: setup ended the job with exit code"
"""lines of a job's script"""


def _without_speaker(line: str) -> str:
    return re.sub(r"^\S+: (error: )?", "", line).strip()
