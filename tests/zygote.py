"""A process that has imported torch, and from which commands are forked.

Importing torch, torchvision and timm takes four seconds of a core; most of the tests' processes need no more than a
fork of one that has them. What a command imports by itself is tested in interpreters of their own.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PRELOADED = ("torch", "torchvision", "timm", "fvcore.nn", "pandas", "matplotlib.figure", "submitit", "rich")


class Zygote:
    """The process, seen from the tests."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.zygote"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, args, env, timeout):
        """Run ``run_all.py`` with arguments; returns the completed process with its text.

        Raises:
            subprocess.TimeoutExpired: it took too long, and was killed.
        """
        with tempfile.TemporaryDirectory() as folder:
            paths = [f"{folder}/{name}" for name in ("stdout", "stderr")]
            self._process.stdin.write(json.dumps([list(args), env, timeout, *paths]) + "\n")
            self._process.stdin.flush()
            code = json.loads(self._process.stdout.readline())
            if code is None:
                raise subprocess.TimeoutExpired(args, timeout)
            texts = [Path(path).read_text() for path in paths]
        return subprocess.CompletedProcess([sys.executable, str(ROOT / "run_all.py"), *args], code, *texts)

    def close(self):
        """End the process."""
        self._process.communicate()


def _serve():
    for name in PRELOADED:
        __import__(name)
    for line in sys.stdin:
        args, env, timeout, out, err = json.loads(line)
        pid = os.fork()
        if not pid:
            _become(args, env, out, err)
        print(json.dumps(_wait(pid, timeout)), flush=True)


def _wait(pid, timeout):
    """The exit code, negative for a signal; None if it had to be killed."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    _, status = os.waitpid(pid, 0)
    is_late = signal.setitimer(signal.ITIMER_REAL, 0)[0] == 0
    return None if is_late else os.waitstatus_to_exitcode(status)


def _become(args, env, out, err):
    """Be a process that was started as ``python run_all.py ARGS``."""
    for number, path in ((0, os.devnull), (1, out), (2, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in ((0, "r"), (1, "w"), (2, "w")))
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [str(ROOT / "run_all.py"), *args]
    code = 1
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
