"""What the README names exists, and what it shows is what happens."""

import re

import pytest

from bench.cli import _parser
from bench.paper import TABLES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_both_commands_are_one_line_each():
    commands = re.findall(r"^pip install .*$", README, re.MULTILINE)
    assert commands == [
        "pip install -c constraints.txt -e . && python run_all.py --table 3",
        "pip install -c constraints.txt -e '.[test]' && pytest",
    ]


def test_options_are_the_programs():
    options = {option for action in _parser()._actions for option in action.option_strings if option.startswith("--")}
    assert set(re.findall(r"--[a-z][a-z-]*", README)) <= options
    assert options - {"--help"} <= set(re.findall(r"--[a-z][a-z-]*", README))


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\]\(([^)#:]+)\)|`(?!DIR/|hfds/)([\w/]+/(?:[\w.]+)?)`", README)))
)
def test_paths_exist(path):
    name = path[0] or path[1]
    assert (ROOT / name).exists(), name


def test_the_example_row_is_in_the_table():
    code = re.search(r"```python\n(Row\(.*?)```", README, re.DOTALL)[1]
    table = (ROOT / "bench/paper/table_3.py").read_text()
    plain = re.sub(r"#.*|\s", "", code)
    assert plain in re.sub(r"\s", "", table)
    assert any(row.name == "T2T-ViT-14" for row in TABLES[3].rows)


def test_constraints_pin_every_dependency():
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    wanted = re.findall(r'"([\w-]+)(?:\[[\w-]+\])?>=', (ROOT / "pyproject.toml").read_text())
    assert {name.lower() for name in wanted} - {"setuptools"} <= pinned
    assert {"numpy", "pillow", "tabulate"} <= pinned
