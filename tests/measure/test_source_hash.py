"""Which changes of the code make a measurement stale: wording and places do not, all that decides a figure does."""

import ast
import json
import os
import shutil
import subprocess
import sys

import pytest

import bench.measure.complexity
import bench.measure.feature_maps
import bench.measure.outline
from bench.measure import source_hash
from tests.conftest import ROOT
from tests.moved import move_suite

NETWORKS = {
    "complexity": ("resnet50", "t2t_vit_14", "senet50"),
    "outline": ("t2t_vit_14",),
    "feature_maps": ("resnet50",),
}
"""networks by the module that measures them"""


def hashes(measuring=bench.measure):
    return {
        f"{module}: {model}": source_hash.source_sha256(getattr(measuring, module)._figures, model)
        for module, models in NETWORKS.items()
        for model in models
    }


@pytest.fixture(scope="module")
def before():
    return hashes()


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Replace texts in a file of a copy of the suite, and hash that."""
    for package in ("bench", "models"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_hash, "_folder", tmp_path.joinpath)
    caches = (source_hash.source_sha256, source_hash._module, source_hash._definition)

    def edit(path, *replacements):
        text = (tmp_path / path).read_text()
        for old, new in replacements:
            assert old in text, (path, old)
            text = text.replace(old, new)
        (tmp_path / path).write_text(text)
        for cache in caches:
            cache.cache_clear()
        return hashes()

    yield edit
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize(("module", "folder"), [("complexity",) * 2, ("outline", "outlines"), ("feature_maps",) * 2])
def test_no_committed_measurement_is_stale(module, folder):
    figures = getattr(bench.measure, module)._figures
    for path in (ROOT / "reports" / "evidence" / folder).glob("*.json"):
        kept = json.loads(path.read_text())
        model = (kept["source"] if module == "feature_maps" else kept)["network"]["model"]
        assert kept["source_sha256"] == source_hash.source_sha256(figures, model), (
            f"{path.name}: its code has changed; python run_all.py --all --runs reports/evidence measures it again"
        )


# What does not count


class Reworded(ast.NodeTransformer):
    """Says the same in other words: docstrings, annotations of functions, and what exceptions say."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.returns = ast.Constant("object") if node.returns else None
        for argument in (*node.args.args, *node.args.kwonlyargs):
            argument.annotation = ast.Constant("object")
        return node

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value = ast.Constant(f"In other words.\n\n{node.value.value[:9]}")
        return self.generic_visit(node)

    def visit_Raise(self, node):
        if (
            isinstance(node.exc, ast.Call)
            and node.exc.args
            and isinstance(node.exc.args[0], ast.Constant | ast.JoinedStr)
        ):
            node.exc.args[0] = ast.Constant("in other words")
        return node


MOVED = {
    "bench.measure.complexity": "bench.counting",
    "bench.measure.outline": "bench.outline",
    "bench.training.build": "bench.networks.build",
    "bench.training.data": "bench.networks.data",
    "bench.results.measurement": "bench.measurement",
    "models.performer": "models.layers.attention",
    "models.t2t_vit": "models.networks.t2t",
}


def reworded(name, tree):
    tree = Reworded().visit(tree)
    if name == "models.blocks":  # of which nothing is called while it is imported
        tree.body.reverse()
    return tree


def test_a_suite_that_was_moved_and_reworded_has_no_stale_measurement(tmp_path, before):
    """In a process of its own, which imports the modules from where they are."""
    move_suite(tmp_path, MOVED, reworded)
    code = (
        "import json, sys\n"
        "from bench import counting as complexity, outline\nfrom bench.measure import feature_maps, source_hash\n"
        f"networks = {NETWORKS}\n"
        "measuring = {'complexity': complexity, 'outline': outline, 'feature_maps': feature_maps}\n"
        "print(json.dumps({f'{module}: {model}': source_hash.source_sha256(measuring[module]._figures, model)\n"
        "    for module, models in networks.items() for model in models}))\n"
        "assert 'torch' not in sys.modules\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == before


@pytest.mark.parametrize(
    ("path", "replacements"),
    [
        ("models/tokens.py", [("from torch import Tensor, nn\n", "import torch\n"), ("nn.", "torch.nn.")]),
        ("models/tokens.py", [("import Mlp\n", "import Mlp as Perceptron\n"), ("Mlp(token", "Perceptron(token")]),
        ("models/t2t_vit.py", [('__all__ = ["T2TViT"]', "__all__ = []")]),
        ("models/t2t_vit.py", [('_14: dict[str, Any] = {"embed', '_14 = {"embed')]),
        ("models/t2t_vit.py", [('"t2t_vit_19": cfg()', '"t2t_vit_19": cfg(crop_pct=1.0)')]),
        ("models/t2t_vit.py", [('"num_heads": 7,', '"num_heads": 8,')]),
        ("bench/results/record.py", [("\nSTATUSES = ", '\nOTHER = 1\n"""in words"""\n\nSTATUSES = ')]),
        ("bench/training/build.py", [("correct_lam=True", "correct_lam=False")]),
        ("bench/measure/complexity.py", [('_LIBRARIES = ("torch", ', '_LIBRARIES = ("torch", "numpy", ')]),
    ],
    ids=[
        "import",
        "alias",
        "__all__",
        "annotation",
        "other_settings",
        "other_network",
        "other_constant",
        "training",
        "libraries",
    ],
)
def test_what_no_figure_needs_makes_none_stale(path, replacements, before, edited):
    assert edited(path, *replacements) == before


def test_a_module_may_be_split(before, edited, tmp_path):
    (tmp_path / "models" / "stride.py").write_text('"""Another module."""\n\nSTRIDE = 16\n"""pixels"""\n')
    assert edited("models/tokens.py", ("STRIDE = 16\n", "from models.stride import STRIDE\n")) == before


# What counts

T2T = {"complexity: t2t_vit_14", "outline: t2t_vit_14"}
COUNTS = {"complexity: resnet50", "complexity: senet50", "complexity: t2t_vit_14"}
MAPS = {"feature_maps: resnet50"}


@pytest.mark.parametrize(
    ("path", "old", "new", "stale"),
    [
        ("models/tokens.py", "STRIDE = 16", "STRIDE = 8", T2T | MAPS),
        ("models/tokens.py", "3 * token_dim", "3 + token_dim", T2T | MAPS),
        ("models/tokens.py", "def grid_size", "def size_of_grid", T2T | MAPS),
        (
            "models/tokens.py",
            "from timm.layers.mlp import Mlp",
            "from timm.layers.mlp import GluMlp as Mlp",
            T2T | MAPS,
        ),
        ("models/tokens.py", "\nSTRIDE", "\nMlp.slope = 2\nSTRIDE", T2T | MAPS),
        ("models/t2t_vit.py", "_14: dict[str, Any] = {", '_14: dict[str, Any] = {"qkv_bias": True, ', T2T),
        ("models/t2t_vit.py", '"t2t_vit_14": cfg()', '"t2t_vit_14": cfg(fixed_input_size=False)', T2T),
        ("models/t2t_vit.py", "@register_model\ndef t2t_vit_14(", "@once\n@register_model\ndef t2t_vit_14(", T2T),
        ("models/cnn.py", "(channels, 64, 3, stride", "(channels, 64, 5, stride", {"complexity: senet50"}),
        ("bench/training/build.py", "cfg.fixed_input_size", "cfg.input_size", COUNTS | T2T | MAPS),
        ("bench/measure/complexity.py", '_LINEAR = ("conv", ', "_LINEAR = (", COUNTS),
        ("bench/measure/structure.py", "|AuxLogits", "", COUNTS),
        ("bench/results/measurement.py", "    output: tuple[Count, ...]\n", "", {"outline: t2t_vit_14"}),
        ("bench/measure/outline.py", '    "groups": "groups",\n', "", {"outline: t2t_vit_14"}),
        ("bench/measure/feature_maps.py", "DEAD_BELOW = 0.01", "DEAD_BELOW = 0.02", MAPS),
        ("bench/training/data.py", 'crop_mode="center"', 'crop_mode="squash"', MAPS),
        ("models/checkpoint_keys.py", '_AVERAGED = ("state_dict_ema", "model_ema", ', "_AVERAGED = (", MAPS),
    ],
)
def test_what_decides_a_figure_makes_it_stale(path, old, new, stale, before, edited):
    after = edited(path, (old, new))
    assert {name for name in before if before[name] != after[name]} == stale


def test_names_are_those_of_their_scope(tmp_path, monkeypatch):
    """A local variable is not the constant of that name, and a class hides nothing from its functions."""
    monkeypatch.setattr(source_hash, "_folder", tmp_path.joinpath)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "local.py").write_text(
        "import torch\nx = y = z = 1\n"
        "def f(x, *, a=y):\n    return [z for z in x], lambda y: y\n"
        "class C:\n    z = 1\n    y: int\n"
        "    def f(self):\n        from models import local\n        return z, local.x\n"
        "def g():\n    global x\n    x = torch.nn\n"
    )
    named = {name: source_hash._definition(("models.local", name)) for name in "fCg"}
    assert {name: set(named) for name, (_, named) in named.items()} == {
        "f": {("models.local", "y")},
        "C": {("models.local", "z"), ("models.local", "x")},
        "g": {("models.local", "x")},
    }
    assert "value=torch.nn)" in named["g"][0]
