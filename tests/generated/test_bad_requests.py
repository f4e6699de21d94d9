"""Bad requests made from the parsers' own options: each is one line and exit code 2, and nothing is written."""

import re

import pytest

from bench.cli import main
from tests.cli.test_requests import BASE, OTHER_BASE, actions, words

pytestmark = pytest.mark.extended

NUMBERS = [
    "-1",
    "1.5",
    "x",
    "",
    " ",
    "0x10",
    "1e3",
    "\uff11\uff12",
    "\u0663",
    "nan",
    "inf",
    "9" * 40,
    "1_000",
    "+",
    "1\n2",
    "\udcff",
]
NOTHING = ["", " ", "\t", "\n", "\u3000"]
UNKNOWN = [
    "nosuch",
    "nosuch\n# heading",
    "\x1b[31mred",
    "a\u202eb",
    "\udcff\udcfe",
    "x" * 50_000,
    "[",
    "[/red]",
    "%s",
    "a|b",
]
SETTINGS = [
    "lr",
    "=1",
    "lr=",
    "lr=abc",
    "nosuch=1",
    "lr=nan",
    "lr=-1",
    "lr=1e999",
    "lr=\uff11",
    "epochs=1.5",
    "epochs=0",
]
SETTINGS += ["epochs=-3", "lr=0x1", "epochs=" + "9" * 400, "optimizer=nosuch", "schedule=", "auto_augment=rand-nosuch"]
SETTINGS += ["name=other", "warmup_epochs=1000", "mixup=2e9", "lr =1", "\udcff=1", "global_batch=0", "crop_pct=7"]
SWEEPS = ["lr", "lr=1,,2", "lr=1,1", "lr=,", "nosuch=1,2", "lr=a,b", "=", "held_out=0.1,0.2", "epochs=" + "1," * 20_000]
KEYS = [
    "partition",
    "=gpu",
    "nosuch=1",
    "nodes=0",
    "nodes=-1",
    "time=soon",
    "mem_gb=nan",
    "gpus_per_node=x",
    "nodes=\uff11",
]
KEYS += ["time=0", "exclusive=perhaps", "max_parallel=0", "mem_gb=-5", "time=" + "9" * 40]

BAD = {
    "--set": SETTINGS,
    "--sweep": SWEEPS,
    "--slurm": KEYS,
    "--table": ["0", "10", "x", "\uff13", "-3", "3.0", *UNKNOWN],
    "--only": UNKNOWN,
    "--edition": ["2021", "", *UNKNOWN],
    "--dataset": ["hfds/", "hfds/a\nb", "hfds/a%b", "torch/nosuch", "wds/x", "cifar11", "/", "imagenet/", *UNKNOWN],
    "--teacher": UNKNOWN,
    "--claims": ["0", "12", "x", "\uff11", *UNKNOWN],
    ("curves", "RUN"): UNKNOWN,
    ("cancel", "RUN"): UNKNOWN,
    ("remove", "RUN"): UNKNOWN,
    ("status", "RUN"): UNKNOWN,
    ("figure", "N"): ["0", "6", "x", "", "\uff12"],
    ("evaluate", "DIR"): ["nosuch", "\udcff", "a\x1b[31m", "x" * 50_000, "", " ", "a\0b"],
    ("figure", "--weights"): ["nosuch.pth", "\udcff", "a\n\x1b[1m", "x" * 50_000, "", "a\0b"],
    ("figure", "--image"): ["nosuch.jpg", "\udcff", "a\n\x1b[1m", "x" * 50_000, "", "a\0b", "."],
    ("", "--weights"): ["nosuch.pth", "\udcff", "a\n\x1b[1m", "x" * 50_000, "", "a\0b", "."],
}
"""By option, or by command and option, values that are wrong: else those that the option's type refuses are."""

PATHS = ["", " ", "\t", "a\0b"]


def wrong(command, name, action):
    """Values that the option refuses."""
    if found := BAD.get((command, name), BAD.get(name)):
        return found
    if action.choices:
        choice = next(iter(action.choices))
        return [choice[:-1], choice.upper(), f"{choice} ", "", *UNKNOWN]
    return NUMBERS if action.metavar in ("N", "S") else PATHS if action.metavar in ("DIR", "FILE") else NOTHING


def requests(command, name, action):
    """Bad requests of an option."""
    base = list(OTHER_BASE.get((command, name), BASE.get(command, [])))
    before = [command] if command else []
    if not action.option_strings:
        for value in wrong(command, name, action):
            yield [*before, *base, "--", value]
        return
    given = words(command, name, action)
    for mangled in (name[:-1], name + "x", name.upper(), f"-{name}", name.replace("-", "_"), f"{name}="):
        yield [*before, *base, mangled, *given[1:]]
    if action.nargs == 0:
        yield [*before, *base, f"{name}=yes"]
        return
    yield [*before, *base, name]
    if action.nargs is None:
        yield [*before, *base, *given, *given]
    for value in wrong(command, name, action):
        yield [*before, *base, f"{name}={value}"]


OPTIONS = list(actions())


def test_there_are_enough():
    assert len({tuple(arguments) for option in OPTIONS for arguments in requests(*option)}) >= 300


@pytest.mark.parametrize(("command", "name", "action"), [pytest.param(*a, id=f"{a[0]} {a[1]}") for a in OPTIONS])
def test_a_bad_request_is_one_line(command, name, action, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in requests(command, name, action):
        code = main.main(arguments)
        out, err = capsys.readouterr()
        shown = ascii(arguments)[:500], out, err
        assert (code, out, err.count("\n"), err[:12]) == (2, "", 1, "run_all.py: "), shown
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", err), shown
        assert len(err) < 5000, shown
        assert list(tmp_path.iterdir()) == [], shown
