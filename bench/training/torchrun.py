"""torchrun, silent about endings that its processes have spoken of: ``python -m bench.training.torchrun``."""

import logging
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Sequence

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from bench.training.signals import Stop


def torchrun(
    module: Sequence[str], processes: int, stop: Stop, while_it_runs: Callable[[], None] = lambda: None
) -> int:
    """Start a module with its arguments in several processes of this machine, and wait; returns the exit code.

    Args:
        module: its name and its arguments.
        processes: how many.
        stop: a signal to it is handed on, once.
        while_it_runs: called ten times a second.
    """
    start = [sys.executable, "-m", "bench.training.torchrun", "--standalone", f"--nproc-per-node={processes}"]
    # In a session of its own: Ctrl-C reaches it once, through us.
    with subprocess.Popen([*start, "-m", *module], start_new_session=True) as children:
        told = False
        while children.poll() is None:
            if stop.signal and not told:
                children.terminate()  # torchrun hands it on as SIGTERM, at which each process saves and leaves
                told = True
            while_it_runs()
            time.sleep(0.1)
    return children.returncode


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Report what cannot be raised, but not that a timer of torchrun's cannot wait for the thread that collects it."""
    of_timer = isinstance(unraisable.object, weakref.finalize) and isinstance(unraisable.exc_value, RuntimeError)
    if not (of_timer and str(unraisable.exc_value) == "cannot join current thread"):
        sys.__unraisablehook__(unraisable)


def quietly(arguments: list[str]) -> int:
    """Run torchrun; returns the exit code.

    Args:
        arguments: as torchrun takes them.
    """
    # It logs that each process gets one thread unless OMP_NUM_THREADS says otherwise, and each signal and ending that
    # its processes see to themselves; what it fails at itself it raises.
    logging.disable(logging.ERROR)
    sys.unraisablehook = _unraisable
    try:
        main(arguments)
    except SignalException as error:
        return 128 + error.sigval
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:  # killed, and so without a last word
            print(f"bench: process {rank} was ended by {failure.signal_name()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(quietly(sys.argv[1:]))
