"""Imports run one way: the table of the README, walked."""

import ast
import sys

import pytest

from tests.conftest import ROOT

STDLIB = set(sys.stdlib_module_names)


def bench(*names):
    return {f"bench.{name}" for name in names}


IDENTITY = bench("specs", "findings", "data", "in_memory")
JOB = bench("specs", "findings", "progress", "store", "run_folder", "stop", "slurm")
TRAINER = bench("specs", "findings", "build", "data", "in_memory", "run_folder", "scoring", "stop", "store", "world")
TRAINER |= bench("fingerprints", "identity", "batch_layout", "batch_statistics", "local_draws", "progress")
TRAINER |= bench("predictions", "compilation", "formulation", "training_step")
EVALUATE = bench(
    "specs", "findings", "data", "identity", "build", "job", "run_folder", "scoring", "stop", "store", "world"
)
EVALUATE |= bench("predictions") | {"numpy"}
EVALUATIONS = bench("specs", "findings", "paper", "stop", "store", "watch")
EXECUTORS = bench("specs", "entry", "job", "slurm", "settings", "submissions")
HERE = bench("specs", "stop", "entry", "job", "planner", "live") | {"submitit"}
STANDING = bench("specs", "findings", "run_folder", "planner", "slurm", "submissions")
STATUS = STANDING | bench("labels", "progress", "standing")
WEIGHTS = bench("specs", "store") | {"models", "timm"}
GIVEN = bench("specs", "store", "suites")
DISPATCH = STANDING | bench("fingerprints", "given", "store", "costs", "settings", "standing", "progress")
DISPATCH |= bench("batch_layout", "datasets", "hub_datasets")
COMMAND = bench("collect", "commands", "curves", "dispatch", "figures", "given", "status", "cancel")
CLI = COMMAND | bench("specs", "recipes", "paper", "budgets", "suites", "slurm", "datasets", "output")
DATA = bench("specs", "findings", "batch_layout", "class_names", "datasets", "hub_datasets", "images", "pixels")
IMAGES = bench("class_names", "datasets", "pixels") | {"torch", "torchvision", "timm", "numpy", "PIL"}
COLLECT = bench("specs", "findings", "store", "run_folder", "evaluations")
CURVES = bench("specs", "findings", "store", "run_folder", "status", "collect", "evidence", "output")
SOURCES = bench("specs", "findings", "paper", "budgets", "store", "run_folder", "collect", "feature_maps")
MAPS = bench("specs", "findings", "complexity", "source_hash")
FIGURES = bench("specs", "findings", "paper", "store", "run_folder", "collect", "evidence", "feature_sources", "output")
COMMANDS = FIGURES | bench("budgets", "costs", "suites", "figures", "evidence", "dispatch", "evaluations")
COMMANDS |= bench("study_report")
LOADING = bench(
    "specs", "findings", "recipes", "data", "in_memory", "complexity", "report.evidence", "run_folder", "store"
)
LOADING |= bench("batch_layout")
SPEED = bench("specs", "recipes", "build", "compilation", "complexity", "formulation", "scoring", "training_step")
STEP_SPEED = bench("specs", "complexity", "report.evidence", "run_folder", "scoring", "speed", "store")
REPORT = bench(
    "specs", "findings", "costs", "paper", "suites", "store", "report", "experiments", "run_folder", "predictions"
)
REPORT |= {"pandas", "numpy", "scipy", "matplotlib", "markdown_it"}

CLI |= bench("options", "study_command")

STUDY = bench("specs", "findings", "recipes", "experiments", "run_folder", "store", "costs", "collect")
STUDY |= bench("study_costs", "study_plan", "study_report", "evidence", "output", "options", "dispatch")

# What a module may import: at its top, and anywhere (inside functions too). Longest prefix wins.
RULES = {
    "models": ({"models", "torch", "torchvision", "timm", "safetensors", "numpy"},) * 2,
    "bench.specs": (set(), set()),
    "bench.findings": (bench("specs"),) * 2,
    "bench.recipes": (bench("specs"),) * 2,
    "bench.paper": (bench("specs", "recipes", "paper"),) * 2,
    "bench.budgets": (bench("specs", "recipes"),) * 2,
    "bench.suites": (bench("specs", "recipes", "budgets"),) * 2,
    "bench.experiments": (bench("specs", "recipes", "experiments"),) * 2,
    "bench.options": (bench("specs"),) * 2,
    "bench.study_costs": (STUDY,) * 2,
    "bench.study_plan": (STUDY, STUDY | {"tabulate", "torch"}),
    "bench.study_report": (STUDY, STUDY | bench("report") | {"tabulate"}),
    "bench.study_command": (STUDY,) * 2,
    "bench.given": (GIVEN, GIVEN | bench("weights") | {"models", "timm"}),
    "bench.planner": (bench("specs", "findings"),) * 2,
    "bench.costs": (bench("specs", "findings"),) * 2,
    "bench.store": (bench("specs", "findings"),) * 2,
    "bench.progress": (set(), set()),
    "bench.torchrun": ({"torch"},) * 2,
    "bench.labels": (bench("specs"),) * 2,
    "bench.run_folder": (bench("specs", "findings", "progress", "store"),) * 2,
    "bench.slurm": (bench("specs"),) * 2,
    "bench.settings": (bench("specs", "slurm"),) * 2,
    "bench.submissions": (bench("specs", "store", "run_folder"),) * 2,
    "bench.standing": (STANDING,) * 2,
    "bench.status": (STATUS, STATUS | bench("status_table") | {"tabulate"}),
    "bench.status_table": (bench("status") | {"rich"},) * 2,
    "bench.cancel": (STANDING | bench("standing", "status"),) * 2,
    "bench.batch_layout": (bench("specs"),) * 2,
    "bench.batch_statistics": (bench("specs") | {"torch", "torchvision", "timm"},) * 2,
    "bench.local_draws": (bench("specs") | {"torch"},) * 2,
    "bench.class_names": (set(), set()),
    "bench.datasets": (bench("specs", "class_names"),) * 2,
    "bench.hub_datasets": (
        bench("specs", "datasets"),
        bench("specs", "datasets") | {"datasets", "huggingface_hub"},
    ),
    "bench.images": (IMAGES,) * 2,
    "bench.pixels": ({"numpy", "PIL"},) * 2,
    "bench.data": (DATA | {"torch", "torchvision", "timm", "numpy", "PIL"},) * 2,
    "bench.in_memory": (bench("specs", "data") | {"torch", "torchvision", "timm", "numpy", "PIL"},) * 2,
    "bench.identity": (IDENTITY | {"numpy"},) * 2,
    "bench.predictions": (bench("findings", "store") | {"numpy"},) * 2,
    "bench.fingerprints": (bench("specs", "findings", "store"),) * 2,
    "bench.loading": (LOADING | {"torch", "numpy", "PIL"},) * 2,
    "bench.speed": (SPEED | {"torch", "timm"},) * 2,
    "bench.step_speed": (STEP_SPEED | {"torch"},) * 2,
    "bench.stop": (set(), set()),
    "bench.weights": (WEIGHTS, WEIGHTS | {"huggingface_hub"}),
    "bench.evaluate": (EVALUATE | {"models", "torch"},) * 2,
    "bench.evaluations": (
        EVALUATIONS,
        EVALUATIONS | bench("weights", "evaluate", "data", "world") | {"models", "torch", "rich"},
    ),
    "bench.world": ({"torch"},) * 2,
    "bench.scoring": (bench("data") | {"torch"},) * 2,
    "bench.compilation": (bench("specs") | {"torch"},) * 2,
    "bench.formulation": (bench("specs", "scoring") | {"models", "torch"},) * 2,
    "bench.training_step": (bench("specs", "build", "scoring") | {"torch"},) * 2,
    "bench.trainer": (TRAINER | {"models", "torch", "timm"},) * 2,
    "bench.watch": (bench("progress"),) * 2,
    "bench.job": (JOB, JOB | bench("trainer", "watch", "world") | {"torch", "submitit"}),
    "bench.entry": (bench("job"), bench("job") | {"submitit"}),
    "bench.live": (bench("specs", "labels", "progress", "run_folder", "watch") | {"rich"},) * 2,
    "bench.executors": (set(), set()),
    "bench.executors.slurm": (EXECUTORS, EXECUTORS | {"submitit"}),
    "bench.executors.local": (HERE, HERE | {"torch"}),
    "bench.dispatch": (DISPATCH, DISPATCH | bench("executors", "data") | {"tabulate"}),
    "bench.source_hash": (set(), set()),
    "bench.complexity": (
        bench("specs", "findings", "source_hash"),
        bench("specs", "findings", "source_hash", "build", "structure") | {"torch", "timm", "fvcore"},
    ),
    "bench.feature_maps": (
        MAPS,
        MAPS | bench("build", "data", "formulation", "scoring") | {"models", "torch", "timm", "numpy", "PIL"},
    ),
    "bench.feature_sources": (SOURCES, SOURCES | bench("pixels") | {"models", "matplotlib", "PIL"}),
    "bench.structure": (set(), {"torch"}),
    "bench.outline": (
        bench("specs", "findings", "store", "complexity", "source_hash"),
        bench("specs", "findings", "store", "complexity", "source_hash", "build") | {"torch"},
    ),
    "bench.report": (REPORT,) * 2,
    "bench.cli": (CLI,) * 2,
    "bench.output": (bench("store", "report.evidence"),) * 2,
    "bench.evidence": (bench("specs", "findings", "store", "collect", "report.evidence"),) * 2,
    "bench.collect": (COLLECT, COLLECT | bench("complexity", "outline") | {"rich"}),
    "bench.curves": (CURVES, CURVES | bench("report")),
    "bench.figures": (FIGURES, FIGURES | bench("report") | {"pandas", "numpy"}),
    "bench.commands": (COMMANDS, COMMANDS | bench("report") | {"pandas", "rich"}),
    "bench.build": (bench("specs") | {"models", "torch", "timm"},) * 2,
    "bench": (set(), set()),
    "run_all": (bench("cli"),) * 2,
}

# Under TYPE_CHECKING an import costs nothing, and is not at the top.
FILES = sorted([*ROOT.glob("bench/**/*.py"), *ROOT.glob("models/**/*.py"), ROOT / "run_all.py"])


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree):
    """(module, at the top) of each import; those under TYPE_CHECKING cost nothing and are not at the top."""
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            names = [f"bench.{alias.name}" for alias in node.names] if node.module == "bench" else [node.module]
            yield from ((name, node in top) for name in names)


def allowed(module, names):
    return module.partition(".")[0] in STDLIB or any(module == n or module.startswith(n + ".") for n in names)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_one_way(path):
    name = module_name(path)
    rule = max((key for key in RULES if name == key or name.startswith(key + ".")), key=len)
    at_top, anywhere = RULES[rule]
    for module, is_top in imports(ast.parse(path.read_text())):
        assert allowed(module, at_top if is_top else anywhere), f"{name} imports {module}"


def test_the_rules_would_notice():
    tree = ast.parse("import torch\ndef f():\n    from bench import trainer\n")
    assert list(imports(tree)) == [("torch", True), ("bench.trainer", False)]
    assert not allowed("torch", RULES["bench.complexity"][0])
    assert not allowed("bench.store", RULES["models"][1])
    assert allowed("torch.nn", RULES["models"][0])


def test_every_module_has_a_docstring():
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text())), path
