"""``--spec``: a run is planned again from its evidence alone, and what is not that evidence is refused in a line."""

import hashlib
import json
import re

import pytest

from bench.cli import main, tables
from bench.experiments.budgets import SUITES
from bench.launch.job import prepare
from bench.results.codec import sealed, unsealed
from bench.results.spec_file import spec_behind
from bench.spec.run import Weights
from tests.conftest import ROOT

EVIDENCE = ROOT / "reports" / "evidence"
PILOT = EVIDENCE / "t2t_vit_7-cifar10-pilot-s42-ed51a216"
TUNED = SUITES["smoke"]["tiny T2T-ViT, tuned"]


def test_every_committed_run_is_read_back_as_itself():
    paths = sorted(EVIDENCE.glob("*/record.json"))
    assert len(paths) > 50
    for path in paths:
        assert spec_behind(path).run_id == spec_behind(path.with_name("spec.json")).run_id == path.parent.name


def plan(capsys, tmp_path, *options):
    assert main.main([*map(str, options), "--run", "local", "--dry-run", "--json", "--runs", str(tmp_path / "no")]) == 0
    return [(line["action"], line["run_id"]) for line in json.loads(capsys.readouterr().out)["plan"]]


def test_a_run_is_planned_again_with_the_run_that_it_starts_from(tmp_path, capsys):
    folder = prepare(tmp_path / "runs", TUNED)
    parent = TUNED.start_from
    expected = [("submit", parent.run_id), ("submit", TUNED.run_id)]
    assert plan(capsys, tmp_path, "--spec", folder / "spec.json") == expected
    (tmp_path / "copy.json").write_bytes((folder / "spec.json").read_bytes())
    assert plan(capsys, tmp_path, "--spec", tmp_path / "copy.json", folder / "spec.json") == expected
    other = TUNED.with_seed(7)
    assert plan(capsys, tmp_path, "--spec", folder / "spec.json", "--seeds", 7) == [
        ("submit", other.start_from.run_id),
        ("submit", other.run_id),
    ]


def edited_spec(folder):
    text = (folder / "spec.json").read_text()
    assert text.count('"lr": 0.0005') == 1
    (folder / "spec.json").write_text(text.replace('"lr": 0.0005', '"lr": 0.001'))
    return folder / "spec.json"


def edited_record(folder):
    text = (folder / "record.json").read_text()
    (folder / "record.json").write_text(text.replace('"seed": 42', '"seed": 43'))
    return folder / "record.json"


def another_runs_record(folder):
    values = unsealed((folder / "record.json").read_text())
    (folder / "record.json").write_text(sealed(values | {"run_id": values["run_id"].replace("-s42-", "-s43-")}))
    return folder / "record.json"


def cut_short(folder):
    text = (folder / "spec.json").read_text()
    (folder / "spec.json").write_text(text[:-20])
    return folder / "spec.json"


def without_a_spec(folder):
    (folder / "spec.json").unlink()
    return folder / "record.json"


def out_of_the_folder(folder):
    values = json.loads((folder / "spec.json").read_text())
    (folder.parent / "x.json").write_text(json.dumps(values | {"model": "../../x"}))
    return folder.parent / "x.json"


def of_an_unknown_network(folder):
    values = json.loads((folder / "spec.json").read_text())
    (folder.parent / "x.json").write_text(json.dumps(values | {"model": "t2t_vit_7777"}))
    return folder.parent / "x.json"


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (edited_spec, "it was edited, or is another run's: it holds t2t_vit_7-cifar10-pilot-s42-"),
        (edited_record, "its checksum does not hold: it was edited"),
        (another_runs_record, "it was edited, or is another run's"),
        (cut_short, "not JSON"),
        (without_a_spec, "spec.json: No such file or directory"),
        (lambda folder: folder / "metrics.jsonl", "not JSON"),
        (lambda folder: folder / "nothing.json", "No such file or directory"),
        (lambda folder: folder, "Is a directory|not a regular file|a folder"),
        (out_of_the_folder, "cannot be the id of a run"),
        (of_an_unknown_network, "'t2t_vit_7777' that neither this version"),
    ],
)
def test_what_is_no_evidence_of_a_run_is_refused_in_a_line(made, why, tmp_path, capsys):
    folder = tmp_path / PILOT.name
    folder.mkdir()
    for name in ("spec.json", "record.json", "metrics.jsonl"):
        (folder / name).write_bytes((PILOT / name).read_bytes())
    assert main.main(["--spec", str(made(folder)), "--run", "local", "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run_all.py: --spec")
    assert re.search(why, line), line


@pytest.mark.parametrize(
    "options", [["--set", "lr=1"], ["--table", "3"], ["--all"], ["--budget", "pilot"], ["--only", "x"]]
)
def test_nothing_else_chooses_runs_beside_it(options, capsys):
    assert main.main(["--spec", str(PILOT / "spec.json"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"run_all.py: --spec: its files say what is trained; leave out either --spec or {options[0]}"


def test_a_run_that_started_from_a_file_needs_that_file(tmp_path, capsys):
    (tmp_path / "weights.pth").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    folder = prepare(tmp_path / "runs", TUNED.starting_from(Weights(file="weights.pth", sha256=digest)))
    asked = ["--spec", str(folder / "spec.json"), "--run", "local", "--dry-run"]
    assert main.main(asked) == 2
    assert "the run needs weights.pth (sha256 9a129038...); give it with --weights" in capsys.readouterr().err
    (tmp_path / "other.pth").write_bytes(b"others")
    assert main.main([*asked, "--weights", str(tmp_path / "other.pth")]) == 2
    assert "the runs of --spec need weights.pth-9a129038" in capsys.readouterr().err
    assert plan(capsys, tmp_path, *asked[:2], "--weights", tmp_path / "weights.pth") == [("submit", folder.name)]


# The command in a record


def test_a_records_command_names_no_folder_and_no_option_of_slurm(tmp_path):
    options = ["--budget", "smoke", "--run", "slurm", "--seeds", "0", "1", "--set", "lr=1e-3", "--compile"]
    where = ["--data", str(tmp_path), "--runs", str(tmp_path), "--slurm", "setup=export KEY=secret", "partition=gpu"]
    asked = tables.request([*options, *where, "--data-on-nodes", "--log", "tensorboard"])
    expected = (
        "python run_all.py --budget smoke --set lr=1e-3 --run slurm --seeds 0 1 --data DIR --data-on-nodes --compile"
    )
    assert asked.launch.resources.command == expected
    again = tables.request(expected.split()[2:])
    assert again.specs == asked.specs


def test_a_records_command_names_the_files_of_a_run():
    asked = tables.request(["--spec", str(PILOT / "record.json"), "--run", "local"])
    assert asked.launch.resources.command == f"python run_all.py --spec {PILOT.name}/record.json --run local"
    assert asked.chosen.command[:4] == ("python", "run_all.py", "--spec", f"{PILOT.name}/record.json")
