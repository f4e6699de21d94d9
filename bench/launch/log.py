"""The cause of death of a job that could not report it itself, from its log and the kernel."""

import contextlib
import re
from pathlib import Path

from bench.spec.regular_files import open_regular

_TAIL = 16_000
"""bytes of a log that are read"""

_CAUSES = re.compile(
    r"(Fatal Python error: .+"  # of faulthandler, which the traceback of every thread follows
    r"|(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception)(?:: .+)?"  # the end of a traceback
    r"|terminate called .+"  # an exception of C++
    r"|(?:slurmstepd|srun): error: \S+: task.*?: (?!Exited)\S.*"
    r"|slurmstepd: error: (?:Detected .*oom.kill.*|\*\*\* .+ \*\*\*))"
)

_OOM_COUNTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control", "/proc/vmstat")


def last_words(log: Path) -> str:
    """The last line of a log, or that there is none."""
    try:
        lines = _tail(log)
    except OSError as error:
        return f"no log at {log} ({error.strerror}); can the node see that folder?"
    ours = [line.removeprefix("bench: ") for line in lines if line.startswith("bench: ")]
    rest = [line for line in lines if line and not line.startswith(("srun: ", "slurmstepd: ", "slurm: "))]
    return next(iter(reversed(ours or rest or list(filter(None, lines)))), "its log is empty")


def cause_of_death(log: Path) -> str:
    """The last line of a log that says what its process died of; empty if none does, as where it was killed."""
    with contextlib.suppress(OSError):
        return next((line for line in reversed(_tail(log)) if _CAUSES.fullmatch(line)), "")
    return ""


def _tail(log: Path) -> list[str]:
    return [line.rstrip() for line in end_of(log, _TAIL).splitlines()]


def end_of(log: Path, most: int) -> str:
    """The text of a log's last bytes.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(log) as file:
        file.seek(max(0, log.stat().st_size - most))
        content: bytes = file.read()
    return content.decode(errors="replace")


def oom_kills() -> int:
    """The number of processes that the kernel has killed for lack of memory; only its changes are meaningful."""
    for file in _OOM_COUNTS:
        with contextlib.suppress(OSError):
            if found := re.search(r"^oom_kill (\d+)$", Path(file).read_text(), re.MULTILINE):
                return int(found[1])
    return 0
