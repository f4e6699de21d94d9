"""Shared pieces of the tests: the command line as a user runs it, and measurements with fixed values."""

import csv
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

# Tiny networks keep no second thread busy, and threads of two processes that wait for each other on two cores
# take ten times as long. Read by torch when it is imported, here and in the processes that tests start.
os.environ["OMP_NUM_THREADS"] = "1"

# Hundreds of processes are started, and each would compile the suite anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from bench.measure.collect import Collected
from bench.results.measurement import Complexity
from bench.results.step_speeds import Case, Measured, NetworkSpeed, Setting, Side
from bench.spec.run import Network
from tests import zygote

ROOT = Path(__file__).resolve().parent.parent

# A shell that starts the tests in its background has Ctrl-C ignored, by the programs that they start too.
signal.signal(signal.SIGINT, signal.default_int_handler)

if sys.platform == "linux":
    zygote.install()


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; then read the diff")


LONG = ("slurm/test_faults", "cli/test_main", "slurm/test_submission", "test_trainer", "test_evaluation")
LONG += ("test_networks", "test_damage", "slurm/", "test_fine_tuning", "test_distillation", "test_evidence")
LONG += ("test_compilation", "test_containers", "test_study_runs", "test_local_batch", "test_terminal")
LONG += ("test_executors", "test_bad_requests", "test_extending", "cli/test_speed", "test_timms_own_tests")


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores, since many tests wait for a process, a signal or a clock."""
    return (yield) + 1


def pytest_collection_modifyitems(items):
    """Put the longest files first, so that none is left over for one process.

    A file that waits for a cluster runs beside one that trains: two of them would wait for each other, since some of
    their tests need the cluster to themselves.
    """
    items.sort(key=lambda item: next((i for i, name in enumerate(LONG) if name in item.location[0]), len(LONG)))


def mostly_extended(names, *by_default):
    """Parameters of a test, extended but for some."""
    assert set(by_default) <= set(names)
    return [name if name in by_default else pytest.param(name, marks=pytest.mark.extended) for name in names]


@pytest.fixture(scope="session")
def run_all():
    """``run_all.py`` in a process of its own; returns the completed process with its text.

    With options for Python, or code in the place of ``run_all.py``, in an interpreter of its own, too.
    """

    def run(*args, python_options=(), code="", timeout=300, **kwargs):
        env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
        start = ["-c", code] if code else [str(ROOT / "run_all.py")]
        command = [sys.executable, *python_options, *start, *map(str, args)]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, **kwargs)

    return run


def copy_pictures(reports, to):
    """Copy the pictures of a folder of reports, and what they were made from: they need not be drawn again."""
    pages = shutil.ignore_patterns("*.md", "*.csv", "*.html", ".table_*.json", "evidence")
    shutil.copytree(reports, to, ignore=pages)


@pytest.fixture(scope="session")
def all_tables(run_all, tmp_path_factory, worker_id):
    """``--all`` from kinds of committed evidence, once for all tests and processes: (process, runs, reports)."""
    base = tmp_path_factory.getbasetemp()

    def report(name, *kinds, pictures=None):
        folder = (base if worker_id == "master" else base.parent) / name
        runs, reports, done = folder / "runs", folder / "reports", folder / "done.json"
        with FileLock(f"{folder}.lock"):
            if not done.exists():
                for kind in kinds:
                    shutil.copytree(ROOT / "reports" / "evidence" / kind, runs / kind)
                if pictures:
                    copy_pictures(pictures, reports)
                first = run_all("--all", "--runs", runs, "--reports", reports, timeout=600)
                done.write_text(json.dumps([first.args, first.returncode, first.stdout, first.stderr]))
        first = subprocess.CompletedProcess(*json.loads(done.read_text()))
        assert first.returncode == 0, first.stderr
        return first, runs, reports

    return report


@pytest.fixture(scope="session")
def measured_once(all_tables):
    """Every table from the committed measurements; those that no longer hold are repeated."""
    return all_tables("measured_once", "recorded", "complexity", "feature_maps", "outlines")


@pytest.fixture(scope="session")
def measured_anew(all_tables, measured_once):
    """Every table measured for real, which takes minutes. What nobody can make here again is the committed.

    Pictures that come out as those of the committed measurements are not drawn again.
    """
    return all_tables("measured_anew", "recorded", pictures=measured_once[2])


class Line(dict):
    """A line of a CSV file. A column that a table's file leaves out, since none of its rows has a value, is empty."""

    def __init__(self, values, empty=""):
        super().__init__({name: value or empty for name, value in values.items()})
        self.empty = empty

    def __missing__(self, name):
        from bench.report.frame import COLUMNS  # not above: few tests need pandas

        if name not in COLUMNS:
            raise KeyError(name)
        return self.empty


def lines_of(path, empty=""):
    """The lines of a CSV file."""
    with path.open() as file:
        return [Line(values, empty) for values in csv.DictReader(file)]


def names_in_pickle(path):
    """The classes and functions that a pickle names."""
    names = set()

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            names.add(f"{module}.{name}")
            return super().find_class(module, name)

    with path.open("rb") as file:
        Reader(file).load()
    return names


def complexity(model, params, macs, img_size=224):
    """A measurement as it would lie in the store, with made-up evidence around the given counts."""
    return Complexity(
        network=Network(model, img_size=img_size),
        params=params,
        trainable_params=params - 1000,
        macs=macs,
        linear_macs=macs - 3000,
        torch_macs=macs - 2000,
        structure={"depth": "14"},
        macs_by_operator={"linear": macs - 3000, "matmul": 1000, "layer_norm": 2000},
        uncounted_operators={"aten::gelu": 7, "aten::add_": 14},
        versions={"python": "3.11.7", "torch": "2.0", "torchvision": "0.15", "timm": "1.0", "fvcore": "0.1"},
        source="timm",
        source_sha256="0" * 64,
        machine="Linux x86_64, a processor, 2 cores",
        measured_at="2026-01-02T03:04:05+00:00",
    )


def made_up_speeds(*networks, gpu="", rounds=5, versions="2.12.1", batch=8):
    """Speeds as they would lie in the store, of each network in training, inference and latency, the first fastest."""
    found = []
    setting = Setting(
        machine="Linux, a processor, 2 cores", threads=2, clock="wall", versions={"torch": versions}, gpu=gpu
    )
    for place, network in enumerate(networks, start=1):
        for mode, images in (("train", batch), ("infer", batch), ("infer", 1)):
            case = Case(
                model=network.model,
                model_args=network.model_args,
                img_size=network.img_size,
                batch=images,
                precision="bfloat16",
                mode=mode,
                device="cuda" if gpu else "cpu",
            )
            seconds = tuple(place * images * (3 if mode == "train" else 1) * (1 + i / 100) / 64 for i in range(rounds))
            ours = Side(seconds=seconds, saved_bytes=10**8 if mode == "train" else None, peak_bytes=5 * 10**8 + place)
            measured = Measured(
                case=case, formulation="fused", macs=10**9, ours=ours, theirs=None, matrix_gflops=400.0, load=0.5
            )
            found.append(NetworkSpeed(setting=setting, measured=measured, measured_at="2026-01-02T03:04:05+00:00"))
    return found


def collected(measurements=None, records=None, evaluations=None, problems=()):
    """Results as if they had been read from a folder of runs."""
    return Collected(
        measurements=measurements or {}, records=records or {}, evaluations=evaluations or {}, problems=problems
    )


@pytest.fixture
def measurements():
    """Counts for every network of Table 3 but T2T-ViT_t-24, which nobody measured."""
    counts = {
        "resnet50d": (25_576_264, 4_352_893_952),
        "resnet50": (25_557_032, 4_111_512_576),
        "resnet101": (44_549_160, 7_833_969_664),
        "resnet152": (60_192_808, 11_558_835_200),
        "t2t_vit_14": (21_545_550, 4_800_254_784),
        "t2t_vit_t_14": (21_541_070, 6_105_508_160),
        "t2t_vit_19": (39_177_422, 8_502_709_376),
        "t2t_vit_t_19": (39_172_942, 9_807_962_752),
        "t2t_vit_24": (64_105_934, 13_692_403_648),
    }
    return {Network(model): complexity(model, *count) for model, count in counts.items()}
