"""Requests: every option of every command changes what is asked for, or is refused."""

import argparse
import importlib

import pytest

from bench.cli import main
from bench.cli.parser import Parser
from bench.spec.errors import RequestError
from tests.conftest import ROOT

MODULES = {"": main.TABLES, **main.COMMANDS}

BASE = {
    "": ["--table", "3", "--run", "slurm"],
    "figure": ["3"],
    "evaluate": ["weights", "--table", "3"],
    "study": ["--run", "slurm"],
    "curves": ["run"],
    "cancel": ["run"],
    "remove": ["run"],
    "export hub": ["run"],
    "export onnx": ["run"],
}
"""By command, what most of its options go with."""

OTHER_BASE = {
    ("", "--table"): ["--budget", "pilot"],
    ("", "--all"): ["--budget", "pilot"],
    ("", "--run"): ["--table", "3"],
    ("", "--recipe"): ["--table", "5"],
    ("", "--teacher"): ["--table", "4"],
    ("", "--spec"): ["--run", "local"],
    ("figure", "N"): [],
    ("figure", "--image"): ["2"],
    ("figure", "--weights"): ["2"],
    ("figure", "--data"): ["2"],
    ("figure", "--download"): ["2", "--data", "data"],
    ("figure", "--edition"): ["1"],
    ("evaluate", "DIR"): ["--table", "3"],
    ("evaluate", "--all"): ["weights"],
    ("evaluate", "--predictions"): [],
    ("evaluate", "--labels"): ["--predictions", "predictions.npz"],
    ("speed", "--add"): ["--against", "tests.literal_t2t:create"],
    ("study", "--run"): [],
    ("curves", "RUN"): [],
    ("cancel", "RUN"): [],
    ("remove", "RUN"): [],
    ("export hub", "RUN"): [],
    ("export onnx", "RUN"): [],
    ("export onnx", "--img-size"): ["t2t_vit_14", "--weights", "file"],
}
"""By command and option, what it goes with instead."""

VALUES = {
    "--table": ["4"],
    "--only": ["resnet50"],
    "--edition": ["arxiv-v1"],
    "--budget": ["smoke"],
    "--sweep": ["lr=1e-3,2e-3"],
    "--set": ["lr=1e-3"],
    "--dataset": ["imagenette"],
    "--recipe": ["cifar_transfer_corrected"],
    "--teacher": ["regnety_160.deit_in1k"],
    "--run": ["local"],
    "--precision": ["float16"],
    "--slurm": ["partition=gpu"],
    "--retry-mem": ["1.5"],
    "--spec": [str(ROOT / "reports/evidence/t2t_vit_7-cifar10-pilot-s42-ed51a216/spec.json")],
    "--img-size": ["96"],
    "--scale": ["smoke"],
    "--claims": ["6"],
    "PATTERN": ["resnet50"],
    "N": ["4"],
    ("figure", "--only"): ["t2t_vit_24"],
    ("study", "--only"): ["resnet*"],
}
"""By option, or by command and option, a value that is not its default: else a choice, a number or a folder is."""


def parser_of(command):
    parser = Parser(command)
    importlib.import_module(MODULES[command]).add_options(parser)
    return parser


def actions_of(command, parser):
    """(command, option, action) of each option; the command is followed by a subcommand of its own, if it has any."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from actions_of(f"{command} {name}", below)
        elif not isinstance(action, argparse._HelpAction):
            yield command, (action.option_strings or [action.metavar])[-1], action


def actions():
    for command in MODULES:
        yield from actions_of(command, parser_of(command))


def words(command, name, action):
    """The option with its value."""
    if action.nargs == 0:
        return [name]
    number = ["7"] if action.metavar == "N" and action.option_strings else ["elsewhere"]
    choice = [choice for choice in action.choices or () if choice != action.default][:1]
    value = VALUES.get((command, name)) or VALUES.get(name) or choice or number
    return [*([name] if action.option_strings else []), *value]


@pytest.mark.parametrize(("command", "name", "action"), [pytest.param(*a, id=f"{a[0]} {a[1]}") for a in actions()])
def test_every_option_changes_the_request(command, name, action):
    if (command, name) == ("", "--weights"):
        pytest.skip("reads files: tests/training/test_fine_tuning.py gives it some")
    command_itself, *form = command.split(" ")
    request = importlib.import_module(MODULES[command_itself]).request
    base = [*form, *OTHER_BASE.get((command, name), BASE.get(command, []))]
    given = words(command, name, action)
    changed = request([*base, *given] if action.option_strings else [*form, *given, *base[len(form) :]])
    assert type(changed).__dataclass_params__.frozen
    try:
        plain = request(base)
    except RequestError:
        return  # there is no request without it
    assert changed != plain


@pytest.mark.parametrize("option", main.OPTIONS_ONCE)
def test_an_old_spelling_says_the_new_one(option, capsys):
    assert main.main(["--table", "3", f"--{option}", "x"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"run_all.py: --{option} is a command now: run_all.py {option};")


def test_the_shell_is_told_commands_and_options(run_all):
    env = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": "run_all.py st",
        "COMP_POINT": "13",
        "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout",
    }
    code = (
        f"import os; os.environ.update({env!r}); os.environ['_ARGCOMPLETE_IFS'] = ' '; import run_all; run_all.main()"
    )
    assert set(run_all(code=code).stdout.split()) == {"study", "status"}
    code = code.replace("'run_all.py st'", "'run_all.py study --sc'").replace("'13'", "'21'")
    assert run_all(code=code).stdout.split() == ["--scale"]


def test_no_function_below_the_command_line_takes_a_namespace():
    for path in ROOT.glob("bench/**/*.py"):
        if ROOT / "bench/cli" not in path.parents:
            assert "argparse" not in path.read_text(), path


@pytest.mark.parametrize("option", ["--runs", "--reports", "--data"])
def test_a_link_to_itself_is_no_path(option, tmp_path, capsys):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert main.main(["--budget", "smoke", "--run", "local", option, str(tmp_path / "loop")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"run_all.py: argument {option}: '{tmp_path}/loop' is a link that points back to itself; ")


def test_an_option_given_again_counts_whole_or_is_refused(capsys):
    request = importlib.import_module(main.TABLES).request
    base = ["--budget", "smoke", "--run", "local"]
    again = request([*base, "--set", "lr=1e-3", "--set", "epochs=2", "--seeds", "1", "--seeds", "2"])
    assert again == request([*base, "--set", "lr=1e-3", "epochs=2", "--seeds", "1", "2"])
    with pytest.raises(RequestError, match="argument --runs: given twice; give it once"):
        request([*base, "--runs", "a", "--runs", "b"])
    with pytest.raises(RequestError, match="lr is given twice"):
        request([*base, "--set", "lr=1e-3", "--set", "lr=2e-3"])


HUNDRED = ",".join(f"{n}e-6" for n in range(1, 101))
TOO_MANY = {
    "4,000,000 runs (4 rows x 10,000 combinations of --sweep x 100 seeds)": [
        "--budget", "pilot", "--run", "local", "--seeds", *map(str, range(100)), "--sweep",
        f"lr={HUNDRED}", f"min_lr={HUNDRED}",
    ],
    "108,000 runs (12 rows x 9,000 seeds)": ["--table", "3", "--run", "local", "--seeds", *map(str, range(9000))],
    "180,000 runs (9 rows x 20,000 seeds)": ["study", "--run", "local", "--seeds", *map(str, range(20_000))],
    "--sweep: 1,000,000 combinations": [
        "--budget", "pilot", "--run", "local", "--sweep", *(f"{name}={HUNDRED}" for name in ("lr", "min_lr", "mixup")),
    ],
}  # fmt: skip


@pytest.mark.parametrize("size", TOO_MANY)
def test_too_many_runs_are_refused_with_their_number_before_they_are_listed(size, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.spec.run.RunSpec.with_seed", None)  # which fails where it is called
    assert main.main([*TOO_MANY[size], "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"run_all.py: {size}; ")
    assert "at most 10" in line
    assert not list(tmp_path.iterdir())


def test_rows_left_out_by_only_do_not_count():
    request = importlib.import_module(main.TABLES).request
    asked = request(["--table", "3", "--only", "t2t_vit_14", "--run", "local", "--seeds", *map(str, range(9000))])
    assert len(asked.specs) == 9000
    swept = ["--budget", "pilot", "--sweep", "lr=1e-3,2e-3", "--only", "resnet50"]
    assert len(request([*swept, "--run", "local", "--seeds", *map(str, range(20_000))]).specs) == 40_000
