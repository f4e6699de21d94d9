"""Exported files, read back by the programs that they are for."""

import hashlib
import json
import re
import shutil

import pandas as pd
import pytest
import timm
import torch
import yaml

import bench
from bench.cli import main
from bench.experiments.budgets import SMOKE
from bench.experiments.recipes import override
from bench.launch import job
from bench.report.data import LOADED_RUN_COLUMNS
from bench.report.facts import FACT_COLUMNS
from bench.results.files import write
from bench.results.run_folder import checkpoints, load_record
from bench.results.spec_file import load_spec
from bench.spec.run import Resources, RunSpec
from bench.training.build import create_network
from bench.training.data import KNOWN, eval_transform
from bench.training.signals import Stop
from tests.conftest import ROOT

EVIDENCE = ROOT / "reports/evidence"


def export(*arguments):
    return main.main(["export", *map(str, arguments)])


def test_data_come_back_from_csv_and_parquet(tmp_path, capsys):
    assert export("data", "--runs", EVIDENCE, "--to", tmp_path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    expected = {"facts": bench.load_facts(EVIDENCE), "runs": bench.load_runs(EVIDENCE)}
    assert told["rows"] == {name: len(frame) for name, frame in expected.items()}
    for (name, frame), columns in zip(expected.items(), (FACT_COLUMNS, LOADED_RUN_COLUMNS), strict=True):
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), frame)
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / f"{name}.csv", dtype=columns), frame)
    assert set(told["files"]) == {path.name for path in tmp_path.iterdir()}


def test_data_replace_an_earlier_export_and_no_other_file(tmp_path, capsys):
    runs = tmp_path / "runs"
    runs.mkdir()
    for _ in range(2):
        assert export("data", "--runs", runs, "--to", tmp_path / "to") == 0
    for name in ("facts.csv", "runs.parquet"):
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / "own" / name).write_text("mine")
        assert export("data", "--runs", runs, "--to", tmp_path / "own") == 2
        assert f"/own/{name} is no earlier export; move it away, or choose" in capsys.readouterr().err
        assert [path.read_text() for path in (tmp_path / "own").iterdir()] == ["mine"]
        (tmp_path / "own" / name).unlink()


def without(module):
    return f"import sys; sys.modules[{module!r}] = None; import run_all; sys.exit(run_all.main())"


def test_data_without_pyarrow_are_csv(run_all, tmp_path):
    command = ("export", "data", "--runs", EVIDENCE, "--to", tmp_path)
    done = run_all(*command, code=without("pyarrow"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "run_all.py: export data needs pyarrow: pip install -c constraints.txt -e '.[parquet]', or leave Parquet out "
        "with --format csv\n"
    )
    done = run_all(*command, "--format", "csv", code=without("pyarrow"))
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"facts.csv", "runs.csv"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the following arguments are required: FORMAT; run_all.py export --help shows"),
        (["onyx"], "argument FORMAT: invalid choice: 'onyx'"),
        (["data", "--runs", "nowhere"], "no folder of runs 'nowhere'; choose one"),
    ],
)
def test_a_wrong_request_is_one_line(arguments, line, capsys):
    assert export(*arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith(f"run_all.py: {line}")


TINY = (("embed_dim", 32), ("depth", 1), ("num_heads", 2))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two tiny runs of one epoch: of a T2T-ViT with averaged weights, and of timm's ResNet without; by weights."""
    runs = tmp_path_factory.mktemp("trained") / "runs"
    of = {"dataset": "synthetic", "img_size": 32}
    ema = override(SMOKE, ["epochs=2", "warmup_epochs=0"])
    specs = {
        "ema": RunSpec(model="t2t_vit_7", model_args=TINY, recipe=ema, **of),
        "raw": RunSpec(model="test_resnet", recipe=override(ema, ["ema_decay=0", "held_out=0.1"]), **of),
    }
    for spec in specs.values():
        job.run(job.prepare(runs, spec), Resources(data="nowhere"), Stop())
    return runs, {weights: spec.run_id for weights, spec in specs.items()}


def final_weights(runs, run_id, weights):
    saved = torch.load(checkpoints(runs / run_id)[0], weights_only=True)
    return saved["ema" if weights == "ema" else "network"]


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_a_hub_folder_is_the_runs_network_in_timm(weights, trained, tmp_path, capsys):
    runs, ids = trained
    run_id = ids[weights]
    for _ in range(2):  # the second replaces the first
        assert export("hub", run_id, "--runs", runs, "--to", tmp_path) == 0
    folder = tmp_path / run_id
    told = capsys.readouterr().out
    assert f"publish it with: hf upload USER/NAME {folder}\n" in told

    network = timm.create_model(f"local-dir:{folder}", pretrained=True)
    expected = final_weights(runs, run_id, weights)
    own = network.state_dict()
    assert own.keys() == expected.keys()
    assert all(torch.equal(own[name], value) for name, value in expected.items())
    spec = load_spec(runs / run_id)
    another = create_network(spec.network, num_classes=10)
    another.load_state_dict(expected)
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network.eval()(images), another.eval()(images))

    cfg = timm.data.resolve_model_data_config(network)
    assert (cfg["input_size"], cfg["crop_pct"], tuple(cfg["mean"])) == ((3, 32, 32), 1.0, (0.5, 0.5, 0.5))
    assert str(timm.data.create_transform(**cfg)) == str(eval_transform(spec.recipe, 32, KNOWN["synthetic"]))


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_a_model_card_says_what_the_record_says(weights, trained, tmp_path):
    runs, ids = trained
    run_id = ids[weights]
    assert export("hub", run_id, "--runs", runs, "--to", tmp_path) == 0
    folder = tmp_path / run_id
    card, record = (folder / "README.md").read_text(), json.loads((runs / run_id / "record.json").read_text())
    top1, top5 = (record["results"][f"{weights}_last_top{k}_pct"] for k in (1, 5))
    error = (top1 * (100 - top1) / 256) ** 0.5
    assert f"| validation (256) | {top1:.2f} ± {error:.2f} | {top5:.2f} |" in card
    assert ("| held out of training |" in card) == (weights == "raw")
    assert ("import models" in card) == (weights == "ema")
    assert f"The weights are the {'averaged (EMA)' if weights == 'ema' else 'raw'} ones of the last epoch" in card
    for path in (folder / "model.safetensors", checkpoints(runs / run_id)[0]):
        assert f"sha256 `{hashlib.sha256(path.read_bytes()).hexdigest()}`" in card
    assert f"commit `{record['git']['commit']}`" in card
    assert "| lr | 0.002 |" in card
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == "timm"
    links = re.findall(r"\]\((evidence/[^)]+)\)", card)
    assert [json.loads((folder / link).read_text())["run_id"] for link in links] == [run_id]
    assert str(tmp_path) not in card


def test_a_folder_of_others_and_an_unfinished_run_are_refused(trained, tmp_path, capsys):
    runs, ids = trained
    (tmp_path / "to" / ids["raw"]).mkdir(parents=True)
    mine = tmp_path / "to" / ids["raw"] / "README.md"
    mine.write_text("mine")
    unfinished = tmp_path / "runs" / ids["ema"]
    shutil.copytree(runs / ids["ema"], unfinished)
    record = load_record(unfinished)
    record.status = "interrupted"
    write(unfinished / "record.json", record)
    damaged = tmp_path / "runs" / ids["raw"]
    shutil.copytree(runs / ids["raw"], damaged)
    checkpoints(damaged)[0].write_bytes(b"0")
    for arguments, line in (
        ((ids["raw"], "--runs", runs), f"{mine.parent} is no earlier export of this run; move it away"),
        (("nobody-s1-00000000", "--runs", runs), f"no run 'nobody-s1-00000000' in '{runs}'; run_all.py status lists"),
        ((unfinished,), f"{ids['ema']} is interrupted; give a completed run"),
        ((damaged,), f"{ids['raw']}: its last checkpoint cannot be used (checksum "),
    ):
        assert export("hub", *arguments, "--to", tmp_path / "to") == 2
        assert capsys.readouterr().err.startswith(f"run_all.py: {line}")
    assert [path for path in (tmp_path / "to").rglob("*") if path.is_file()] == [mine]
