"""Imports run one way: a rule a room, and no exception."""

import ast
import sys

import pytest

from tests.conftest import ROOT

STDLIB = set(sys.stdlib_module_names)
TORCH = {"torch", "torchvision", "timm", "numpy", "PIL", "safetensors", "huggingface_hub", "datasets"}

ROOMS = {
    "spec": set(),
    "results": {"spec"},
    "experiments": {"spec"},
    "paper": {"spec", "experiments"},
    "training": {"spec", "results", "experiments", "models"},
    "measure": {"spec", "results", "experiments", "paper", "training", "models"},
    "launch": {"spec", "results", "experiments", "measure"},
    "report": {"spec", "results", "experiments", "paper", "measure"},
    "cli": {"spec", "results", "experiments", "paper", "training", "measure", "launch", "report", "models"},
}
"""What each room may import, besides itself."""
ROOMS["run_all"] = {"cli"}
ROOMS["__main__"] = set()

INSIDE_FUNCTIONS = {"launch": {"training", "models", "torch", "timm", "tensorboard", "wandb", "mlflow"}}
"""What it may import inside functions only: a thousand jobs are submitted without torch, and loggers are extras."""

LIBRARIES = {
    "run_all": {"bench"},
    "__main__": {"run_all"},
    "models": TORCH,
    "spec": set(),
    "results": {"numpy", "msgspec"},
    "experiments": set(),
    "paper": set(),
    "training": TORCH | {"onnx", "onnxruntime"},
    "measure": TORCH | {"fvcore", "rich", "matplotlib"},
    "launch": {"submitit", "rich", "tabulate"},
    "report": {"numpy", "pandas", "scipy", "msgspec", "matplotlib", "markdown_it", "jinja2", "markupsafe"},
    "cli": TORCH | {"rich", "tabulate", "pandas", "argcomplete", "pyarrow"},
}

FILES = sorted([*ROOT.glob("bench/**/*.py"), *ROOT.glob("models/**/*.py"), ROOT / "run_all.py"])


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree):
    """(module, whether at the top) of each import."""
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            names = [f"bench.{alias.name}" for alias in node.names] if node.module == "bench" else [node.module]
            yield from ((name, node in top) for name in names)


def room_of(name):
    """Room of a module; what lies beside the rooms is named by pickles of queued jobs, and belongs to launch."""
    package, _, rest = name.partition(".")
    if package != "bench":
        return package
    return rest.partition(".")[0] if "." in rest or rest in ROOMS else "launch"


def violations(name, tree):
    """Each import that the room of a module does not allow."""
    room = room_of(name)
    for module, is_top in imports(tree):
        package = module.partition(".")[0]
        inside = set() if is_top else INSIDE_FUNCTIONS.get(room, set())
        if package == "bench":
            if room_of(module) not in {room, *ROOMS.get(room, set()), *inside}:
                yield module
        elif package not in STDLIB | {room} | ROOMS.get(room, set()) | LIBRARIES.get(room, set()) | inside:
            yield module


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_one_way(path):
    name = module_name(path)
    if name == "bench":
        return
    assert not set(violations(name, ast.parse(path.read_text())))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("bench.results.store", "import torch"),
        ("bench.spec.recipe", "from bench.results import store"),
        ("bench.launch.planner", "from bench.training import trainer"),
        ("bench.report.frame", "def f():\n    from bench.training import trainer"),
        ("bench.report.frame", "import torch"),
        ("models.tokens", "import bench.spec"),
        ("bench.measure.speed", "from bench.report import text"),
    ],
)
def test_the_rules_would_notice(name, line):
    assert list(violations(name, ast.parse(line)))


def test_launch_may_train_inside_functions():
    assert not list(violations("bench.launch.job", ast.parse("def f():\n    from bench.training import trainer")))


def test_every_module_has_a_docstring():
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), path
