"""torchrun, silent about endings that its processes have spoken of: ``python -m bench.training.torchrun``."""

import logging
import sys

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main


def quietly(arguments: list[str]) -> int:
    """Run torchrun; returns the exit code.

    Args:
        arguments: as torchrun takes them.
    """
    # It logs that each process gets one thread unless OMP_NUM_THREADS says otherwise, and each signal and ending that
    # its processes see to themselves; what it fails at itself it raises.
    logging.disable(logging.ERROR)
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
