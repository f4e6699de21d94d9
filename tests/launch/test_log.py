"""Why a process died that could not say so itself."""

import os
import subprocess
import sys

import pytest

from bench.launch import local
from bench.launch.log import cause_of_death
from bench.results.files import MACHINE


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import faulthandler, os; faulthandler.enable(); os.abort()", "Fatal Python error: Aborted"),
        (
            "import faulthandler; faulthandler.enable(); faulthandler._sigsegv()",
            "Fatal Python error: Segmentation fault",
        ),
        ("import a_library_that_is_not_there", "ModuleNotFoundError: No module named 'a_library_that_is_not_there'"),
        ("raise MemoryError", "MemoryError"),
        ("import os, signal; print('epoch 1'); os.kill(os.getpid(), signal.SIGKILL)", ""),
    ],
)
def test_a_log_tells_what_its_process_died_of(tmp_path, code, cause):
    log = tmp_path / "log"
    with log.open("w") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, stderr=file, check=False)
    found = cause_of_death(log)
    assert cause in found
    assert bool(cause) == bool(found)


def test_a_log_that_is_not_there_tells_nothing(tmp_path):
    assert cause_of_death(tmp_path / "log") == ""
    os.mkfifo(tmp_path / "log")
    assert cause_of_death(tmp_path / "log") == ""


def test_logs_of_old_commands_do_not_grow_without_bound(tmp_path):
    for second in range(30):
        name = f"local-20260101-0000{second:02}-{MACHINE}"
        (tmp_path / f"{name}-{os.getpid() if second == 3 else 4_000_000 + second}").mkdir()
    elsewhere = tmp_path / "local-20250101-000000-01234567-1"
    elsewhere.mkdir()
    (tmp_path / "t2t-0123456789").mkdir()  # handed to Slurm
    folder = local._folder_of_logs(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert folder.name not in left  # submitit makes it
    assert len(left) == (local.KEPT_COMMANDS - 1) + 3  # one that runs, one of another machine, Slurm's
    assert {elsewhere.name, "t2t-0123456789"} <= set(left)
    assert f"local-20260101-000003-{MACHINE}-{os.getpid()}" in left
