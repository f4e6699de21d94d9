"""What the README names exists, and what it shows is what happens."""

import importlib
import re

import pytest

from bench.cli import main, step_speed
from bench.cli.parser import Parser
from bench.paper import TABLES
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_both_commands_are_one_line_each():
    commands = re.findall(r"^pip install .*$", README, re.MULTILINE)
    assert commands == [
        "pip install -c constraints.txt -e . && python run_all.py --table 3",
        "pip install -c constraints.txt -e '.[test]' && pytest",
    ]


def options(module):
    parser = Parser()
    module.add_options(parser)
    return {o for action in parser._actions for o in action.option_strings if o.startswith("--")}


MODULES = [importlib.import_module(name) for name in (main.TABLES, *main.COMMANDS.values())]


def test_options_are_the_programs():
    named = set(re.findall(r"--[a-z][a-z-]*", README))
    speed = {o for action in step_speed._parser()._actions for o in action.option_strings}
    assert named <= {"--help", "--version"} | speed | {option for module in MODULES for option in options(module)}


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\]\(([^)#:]+)\)|`(?!DIR/|hfds/|torch/)([\w/]+/(?:[\w.]+)?)`", README)))
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


def snippet(beginning):
    """A block of Python in the README, by how it begins."""
    return re.search(rf"```python\n({re.escape(beginning)}.*?)```", README, re.DOTALL)[1]


def test_the_example_model_is_one_of_ours():
    assert snippet("@register_model") in (ROOT / "models/t2t_vit.py").read_text()


ADD = """
import dataclasses, sys
import bench.cli.main, bench.cli.selection, models.t2t_vit
from bench.paper import TABLES, table_3

models.t2t_vit.default_cfgs |= models.t2t_vit.generate_default_cfgs({{"t2t_vit_mine": models.t2t_vit.cfg()}})
exec({model!r}, vars(models.t2t_vit))
row = eval({row!r}, vars(table_3))
table = TABLES[3]
bench.cli.selection.TABLES[3] = dataclasses.replace(table, rows=(*table.rows, row))
sys.exit(bench.cli.main.main(sys.argv[1:]))
"""


def test_a_row_and_a_model_are_added_as_the_readme_says(run_all, tmp_path):
    """The README's own code, with another name and a tiny network."""
    model = snippet("@register_model").replace("t2t_vit_14_resnext", "t2t_vit_mine")
    model = model.replace('"num_heads": 32', '"embed_dim": 32, "depth": 2, "num_heads": 2')
    row = snippet("Row(").replace('"T2T-ViT-14"', '"Mine"').replace('"t2t_vit_14"', '"t2t_vit_mine"')
    options = ("--table", 3, "--only", "Mine", "--runs", tmp_path, "--reports", tmp_path)
    done = run_all(*options, code=ADD.format(model=model, row=row))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Mine +81\.5 +- +21\.5 +0\.\d+ differs +4\.8 +0\.\d+ differs", done.stdout, re.MULTILINE)
    assert "| Mine " in (tmp_path / "table_3.md").read_text()
    assert (tmp_path / "complexity" / "t2t_vit_mine-224px.json").exists()
