"""Programs that the zygote forks are what interpreters of their own would be, to themselves and to who started them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the zygote needs Linux's subreapers")

PROGRAMS = {
    "end": "print('here')",
    "code": "import sys; print('words', sys.argv[1:]); sys.exit(3)",
    "negative code": "import sys; sys.exit(-1)",
    "last words": "import sys; sys.exit('words')",
    "error": "1 / 0",
    "Ctrl-C": "raise KeyboardInterrupt",
    "signal": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "streams": "import sys; all = (sys.stdin, sys.stdout, sys.stderr)\n"
    "print(input(), [(stream.encoding.lower(), stream.errors) for stream in all])",
    "place": "import os, sys; print(__name__, __file__, sys.path[0], os.getcwd(), os.environ['MINE'])",
    "late": "import atexit, threading, time; atexit.register(print, 'last')\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('then'))).start()",
    "signals": "import signal; print([(n, signal.getsignal(n)) for n in signal.valid_signals()])",
    "session": "import os; print(os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())",
}
"""code of each"""


def is_forked(process):
    """Whether torch was there before the program began."""
    return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_fork_ends_as_an_interpreter_does(name, tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAMS[name])
    found = []
    for options in ([], ["-B"]):
        done = subprocess.run(
            [sys.executable, *options, str(path), "a", "b c"],
            input="typed\n",
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"MINE": "1"},
            start_new_session=True,
        )
        found.append((done.returncode, done.stdout, done.stderr.splitlines()[-1:]))
    assert found[0] == found[1]


@pytest.fixture
def waiting(tmp_path):
    """A program that waits until it is told to end, forked by the zygote."""
    (tmp_path / "waiting.py").write_text("print('begun', flush=True)\ninput()\n")
    command = [sys.executable, "-u", str(tmp_path / "waiting.py"), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        yield process, command
        process.kill()


def test_it_is_a_child_with_its_own_command_line_that_can_be_killed(waiting):
    process, command = waiting
    assert is_forked(process)
    assert Path(f"/proc/{process.pid}/cmdline").read_bytes().rstrip(b"\0").decode().split("\0") == command
    assert Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid())
    process.kill()
    assert process.wait(60) == -signal.SIGKILL


def test_a_signal_that_is_ignored_here_is_ignored_there(tmp_path):
    (tmp_path / "program.py").write_text("import signal; print(signal.getsignal(signal.SIGINT))")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = subprocess.run([sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.stdout == f"{signal.SIG_IGN}\n"


STARTS_ANOTHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "this"], stdout=subprocess.PIPE)
print("libtorch" in open(f"/proc/{child.pid}/maps").read())
child.communicate()
print(child.returncode)
"""


def test_what_it_starts_is_forked_too(tmp_path):
    (tmp_path / "program.py").write_text(STARTS_ANOTHER)
    done = subprocess.run([sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "True\n0\n", done.stderr


@pytest.mark.parametrize(
    ("options", "changed"),
    [(["-B"], {}), (["-X", "dev"], {}), ([], {"PYTHONUTF8": "0"}), ([], {"HF_HOME": "/nowhere"})],
    ids=str,
)
def test_an_interpreter_that_is_asked_for_is_started(options, changed, tmp_path):
    (tmp_path / "program.py").write_text("import sys; print('torch' in sys.modules)")
    command = [sys.executable, *options, str(tmp_path / "program.py")]
    done = subprocess.run(command, env=os.environ | changed, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_one_that_cannot_begin_is_an_error_here():
    with pytest.raises(ChildProcessError, match="before its program began"):
        subprocess.Popen([sys.executable, "-m", "this"], cwd="/nowhere")
