"""Files that are written whole: what a killed process left behind."""

import os
import subprocess
import sys
import time

import pytest

from bench.results.files import sweep, temporary_beside, write_atomically


@pytest.fixture
def gone():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_temporary_files_of_processes_that_are_gone_are_swept_up(tmp_path, gone):
    mine = temporary_beside(tmp_path / "page.md")
    host = mine.name.split(".")[-2].partition("-")[0]
    a_day_ago = time.time() - 25 * 3600
    names = {
        mine.name: (time.time(), True),
        f".page.md.{host}-{gone}-01234567.tmp": (time.time(), False),
        f".page.md.{host}-{10**30}-01234567.tmp": (time.time(), False),
        f".page.md.00000000-{gone}-01234567.tmp": (time.time(), True),  # of another machine
        f".page.csv.00000000-{gone}-01234567.tmp": (a_day_ago, False),
        f".page.md.{'0' * 32}.tmp": (time.time(), True),  # of an older version, which may be running
        f".page.csv.{'0' * 32}.tmp": (a_day_ago, False),
        ".notes.tmp": (a_day_ago, True),  # somebody else's
        "page.tmp": (a_day_ago, True),
    }
    for name, (changed_at, _) in names.items():
        (tmp_path / name).write_text("a part")
        os.utime(tmp_path / name, (changed_at, changed_at))
    sweep.cache_clear()
    write_atomically(tmp_path / "page.md", "the whole")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"page.md", *(name for name, (_, stays) in names.items() if stays)}
    assert (tmp_path / "page.md").read_text() == "the whole"
