"""Exported files, read back by the programs that they are for."""

import hashlib
import json
import re
import shutil

import onnx
import onnxruntime
import pandas as pd
import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

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
from bench.training import onnx_file
from bench.training.build import create_network
from bench.training.data import KNOWN, eval_transform
from bench.training.signals import Stop
from tests.conftest import ROOT, mostly_extended

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


def logits(file, images):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(["logits"], {"images": images.numpy()})
    return torch.from_numpy(found)


@pytest.mark.parametrize("weights", mostly_extended(["ema", "raw"], "ema"))
def test_an_onnx_file_computes_what_the_runs_network_does(weights, trained, tmp_path, capsys):
    runs, ids = trained
    run_id = ids[weights]
    assert export("onnx", run_id, "--runs", runs, "--to", tmp_path, "--json") == 0
    file = tmp_path / f"{run_id}.onnx"
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == {"onnx": str(file)}
    assert told["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert list(tmp_path.iterdir()) == [file]  # weights and all
    onnx.checker.check_model(file, full_check=True)
    assert onnx_file.is_own(file)
    metadata = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    checkpoint = checkpoints(runs / run_id)[0]
    assert (metadata["run_id"], metadata["weights"]) == (run_id, weights)
    assert metadata["weights_sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()

    network = create_network(load_spec(runs / run_id).network, num_classes=10).eval()
    network.load_state_dict(final_weights(runs, run_id, weights))
    for batch in (1, 2, 5):
        images = torch.randn(batch, 3, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(logits(file, images), network(images), rtol=1e-3, atol=1e-4)


@pytest.mark.extended
def test_an_onnx_file_of_a_network_with_weights_from_a_file(tmp_path):
    network = timm.create_model("test_vit", num_classes=7).eval()
    weights = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), weights)
    assert export("onnx", "test_vit", "--weights", weights, "--img-size", 160, "--to", tmp_path / "to") == 0
    (file,) = (tmp_path / "to").iterdir()
    assert file.name == f"test_vit-160px-{hashlib.sha256(weights.read_bytes()).hexdigest()[:8]}.onnx"
    images = torch.randn(4, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(logits(file, images), network(images), rtol=1e-3, atol=1e-4)


def test_an_onnx_file_that_computes_something_else_is_not_kept(trained, tmp_path, monkeypatch, capsys):
    runs, ids = trained
    monkeypatch.setattr(onnx_file, "RELATIVE", 0.0)
    monkeypatch.setattr(onnx_file, "ABSOLUTE", 0.0)
    assert export("onnx", ids["raw"], "--runs", runs, "--to", tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run_all.py: the ONNX file computes other logits than the network, and was not kept: ")
    assert list(tmp_path.iterdir()) == []


def test_an_onnx_file_of_others_and_wrong_requests_are_refused(trained, run_all, tmp_path, capsys):
    runs, ids = trained
    mine = tmp_path / f"{ids['raw']}.onnx"
    mine.write_text("mine")
    for arguments, line in (
        ((ids["raw"], "--runs", runs), f"{mine} is no earlier export; move it away"),
        (("t2t_vit_7", "--runs", runs), f"no run 't2t_vit_7' in '{runs}'; run_all.py status lists them; for a network"),
        (("t2t_vit_7", "--weights", mine), f"{mine}: "),
        (("t2t_vit_7", "--weights", tmp_path / "none"), f"--weights {tmp_path}/none: No such file or directory; give"),
        (("t2t_vit_7", "--img-size", 64), "--img-size does nothing without --weights; a run has the size"),
    ):
        assert export("onnx", *arguments, "--to", tmp_path) == 2
        assert capsys.readouterr().err.startswith(f"run_all.py: {line}")
    assert mine.read_text() == "mine"
    done = run_all("export", "onnx", ids["raw"], "--runs", runs, code=without("onnxscript"))
    assert done.returncode == 2
    assert done.stderr == ("run_all.py: export onnx needs onnxscript: pip install -c constraints.txt -e '.[onnx]'\n")
