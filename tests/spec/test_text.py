"""Text that is fit to be shown."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.spec.text import beneath, one_line, printable, printable_streams, without_folders
from tests.conftest import ROOT

FULL = Path("/dev/full")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("gone\rhere\x07\x00\x9b1m", r"gone\rhere\x07\x00\x9b1m"),
        ("turned \u202eround\u2066 \u200b\u200f", r"turned \u202eround\u2066 \u200b\u200f"),
        ("bytes \udcff", r"bytes \udcff"),
        ("Größe 漢字\t±\n", "Größe 漢字\t±\n"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert printable(text) == shown


def test_one_line_is_one_line():
    assert one_line("a\n\n# b\r\nc\u2028d\x1b") == r"a # b c d\x1b"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("OSError: x (see /work/x/runs/a-s1/traceback.txt)", "OSError: x (see a-s1/traceback.txt)"),
        ("/data/imagenet/val/a.jpg: No such file", "a.jpg: No such file"),
        ("No such file: '/home/u/x.png'", "No such file: 'x.png'"),
        (r"C:\Users\me\x.py", "x.py"),
        ("a/b.txt, 64/128 images/s, http://host/a/b, ~/data/a", "a/b.txt, 64/128 images/s, http://host/a/b, ~/data/a"),
    ],
)
def test_no_folder_of_a_machine_is_told(text, told):
    assert without_folders(text, ["/work/x/runs"]) == told


def test_streams_show_what_is_printed_and_let_commands_through_beneath(capsys):
    with printable_streams():
        print("a\x1b[31m")
        print("b\r", file=sys.stderr)
        print("\x1b[1mbold", file=beneath(sys.stdout))
    assert capsys.readouterr() == ("a\\x1b[31m\n\x1b[1mbold\n", "b\\r\n")
    assert beneath(sys.stdout) is sys.stdout


@pytest.mark.skipif(not FULL.exists(), reason="Linux has a file that is always full")
def test_a_full_disk_behind_standard_output_is_a_line():
    with FULL.open("w") as full:
        command = [sys.executable, "-s", "run_all.py", "list"]  # with an option, so in an interpreter of its own
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "run_all.py: standard output: No space left on device; finished measurements are kept\n"
