"""torchrun says nothing about what its processes have spoken of."""

import subprocess
import sys

from tests.conftest import ROOT

ENDS_BY_ITS_OWN_THREAD = """
import time
from datetime import timedelta
from torch.distributed.elastic.rendezvous.utils import _PeriodicTimer
from bench.training import torchrun

def main(arguments):
    held = []
    held.append(_PeriodicTimer(timedelta(milliseconds=10), held.clear))
    held[0].start()
    while held:
        time.sleep(0.01)
    time.sleep(0.1)

torchrun.main = main
torchrun.quietly([])
"""


def test_a_timer_that_its_own_thread_collects_is_no_complaint():
    """As when a signal ends torchrun before it has cancelled the timer that keeps its rendezvous alive."""
    done = subprocess.run([sys.executable, "-c", ENDS_BY_ITS_OWN_THREAD], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
