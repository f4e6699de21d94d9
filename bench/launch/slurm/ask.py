"""Slurm's commands: called without the variables that would change what they do, and tried again when that may help."""

import os
import re
import subprocess
import time
from collections.abc import Mapping

PATIENCE_S = 20
"""for an answer; Slurm's own patience with a controller that is down is about ten seconds"""

PAUSES_S = (1, 2, 4)
"""before each further try of a command that was refused for the moment"""

MARK = "t2t"
"""first field of the lines that were asked for: wrappers of Slurm's commands print others as well"""


class Unreachable(Exception):
    """Slurm does not answer; one line says what it said instead."""


class Refused(Unreachable):
    """Slurm answered with an error."""


def environment(kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, for a command of Slurm's.

    Variables such as SBATCH_PARTITION or SQUEUE_USERS take precedence over what a script or a command asks for, and
    those of a job that this process may be in would be inherited by the jobs that it submits.

    Args:
        kept: by default ``os.environ``.
    """
    inherited = os.environ if kept is None else kept
    return {name: value for name, value in inherited.items() if name in _KEPT or not _CHANGES_COMMANDS.match(name)} | {
        "SLURM_BITSTR_LEN": "0"  # lists of tasks are not cut off
    }


_CHANGES_COMMANDS = re.compile(
    "(SLURM|SLURMD|SRUN|SBATCH|SALLOC|SQUEUE|SINFO|SCANCEL|SCONTROL|SACCT|SACCTMGR|SPRIO|SUBMITIT|SLURM_STEP)_|"
    "(MASTER_ADDR|MASTER_PORT|RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE)$"
)
_KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_SACK_KEY")
"""which say where Slurm is and who asks, and not what"""


def ask(*command: str) -> str:
    """Run one of Slurm's commands; returns its output.

    Raises:
        Unreachable: it gave no answer, or is not on this machine.
        Refused: it answered with an error.
    """
    for pause in PAUSES_S:
        try:
            return ask_once(*command)
        except Refused as error:
            if not is_passing(str(error)):
                raise
            time.sleep(pause)
    return ask_once(*command)


def is_passing(said: str) -> bool:
    """Whether a refusal says nothing of the request, so that it may be heard in a moment."""
    return bool(
        re.search(
            r"temporarily (unavailable|unable)|try again|too many open files|resource busy|cannot allocate memory|"
            r"rate limit|is busy",
            said,
            re.IGNORECASE,
        )
    )


def ask_once(*command: str) -> str:
    """The same, without another try."""
    try:
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=PATIENCE_S, check=True, errors="replace"
        )
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{command[0]} gave no answer in {PATIENCE_S} s") from None
    except FileNotFoundError:
        raise Unreachable(f"no {command[0]} on this machine") from None
    except OSError as error:
        raise Unreachable(f"{command[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise Refused(plain(error.stderr) or f"{command[0]} ended with {error.returncode}") from None
    return done.stdout


def rows(printed: str, columns: int, command: str) -> list[list[str]]:
    """The fields of the lines that were asked for, which begin with ``MARK`` and stand below a head that does too.

    Args:
        printed: by the command.
        columns: of a line, without the mark; the last one may hold the separator, |.
        command: for the error.

    Raises:
        Unreachable: there is not even a head, so that nothing can be said of what is not listed.
    """
    lines = [line.split("|", columns)[1:] for line in printed.splitlines() if line.startswith(f"{MARK}|")]
    lines = [fields for fields in lines if len(fields) == columns]
    if not lines:
        first = next(iter(printed.splitlines()), "")
        raise Unreachable(f"{command} on this machine printed {first[:80]!r} instead of the requested fields")
    return lines[1:]


def is_silence(said: str) -> bool:
    """Whether a command's last words mean that there was no answer, rather than a refusal."""
    return bool(re.search("timed out|unable to contact|zero bytes|connection|communication", said, re.IGNORECASE))


def plain(said: str) -> str:
    """Slurm's message on standard error, in one line."""
    lines = [re.sub(r"^\w+: (error: )?", "", line).strip() for line in said.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))
