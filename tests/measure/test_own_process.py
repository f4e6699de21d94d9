"""Functions in processes of their own: their answers, their errors, and their ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.measure.own_process import Died, in_own_process
from bench.results.files import process_runs
from bench.spec.errors import RequestError
from tests.conftest import ROOT, mostly_extended


def own_id(*arguments, **named):
    return os.getpid(), arguments, named


def refuse(reason):
    raise RequestError(reason)


def fail(*lines):
    raise RuntimeError("\n".join(lines))


def die(signal_number):
    os.kill(os.getpid(), signal_number)


def leave(code):
    os._exit(code)


def test_it_answers_from_another_process():
    pid, *given = in_own_process(own_id, 1, "b", c=3.0)
    assert pid != os.getpid()
    assert given == [(1, "b"), {"c": 3.0}]
    assert not process_runs(pid)


@pytest.mark.parametrize(
    ("function", "argument", "error", "message"),
    [
        (refuse, "choose another", RequestError, "choose another"),
        (fail, "it went\nwrong", Died, "RuntimeError: it went wrong"),
        (fail, "", Died, "RuntimeError"),
        (die, signal.SIGKILL, Died, "its process was ended by SIGKILL, as happens where memory runs out"),
        (die, signal.SIGSEGV, Died, "its process was ended by SIGSEGV"),
        (leave, 3, Died, "its process ended with code 3"),
    ],
)
def test_an_end_without_an_answer_is_one_line(function, argument, error, message):
    with pytest.raises(error) as raised:
        in_own_process(function, argument)
    assert str(raised.value) == message


def stay(path):
    Path(path).write_text(f"{os.getpid()}\n")
    time.sleep(600)


@pytest.mark.parametrize("number", mostly_extended([signal.SIGINT, signal.SIGKILL], signal.SIGKILL))
def test_it_ends_with_the_one_that_asked(number, tmp_path):
    path = tmp_path / "pid"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from bench.measure.own_process import in_own_process; from tests.measure.test_own_process import stay;"
        f"in_own_process(stay, {str(path)!r})"
    )
    asking = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (path.exists() and path.read_text().endswith("\n")):
        assert asking.poll() is None
        time.sleep(0.05)
    asking.send_signal(number)
    asking.wait(60)
    until = time.monotonic() + 60
    while process_runs(int(path.read_text())):
        assert time.monotonic() < until
        time.sleep(0.05)
