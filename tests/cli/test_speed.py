"""The command that measures the speed of networks: what it measures, what it keeps, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bench.cli import main
from bench.cli.commands.speed import request
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.spec.run import Network
from tests.conftest import ROOT

TINY = ("--img-size", "32", "--batch", "2", "--rounds", "1", "--precision", "float32", "--device", "cpu")


def speed(folder, *arguments):
    return main.main(["speed", *map(str, arguments), "--runs", str(folder / "runs"), "--reports", str(folder)])


def kept(folder):
    return {path.name: path.read_bytes() for path in (folder / "runs" / "speed").glob("*.json")}


def networks(*arguments):
    return [str(network) for network in request(arguments).networks]


def test_networks_are_those_of_rows_or_named():
    every = {row.network for table in TABLES.values() for row in table.rows_in(ICCV)}
    assert set(request([]).networks) == every
    assert len(request([]).networks) == len(every)
    assert networks("--table", "4", "--only", "Mobile*") == [
        "mobilenetv1_100",
        "mobilenetv2_100",
        "mobilenetv2_140",
        "mobilenetv3_large_100",
    ]
    assert networks("--only", "T2T-ViT-d768-4") == ["t2t_vit_14_wide"]
    assert request(["--only", "T2T-ViT-14*384*"]).networks == (Network("t2t_vit_14", img_size=384),)
    assert networks("--models", "test_resnet", "resnet50") == ["test_resnet", "resnet50"]
    assert networks("--against", "a:b") == ["t2t_vit_7", "t2t_vit_14"]
    assert networks("--against", "a:b", "--only", "t2t_vit_24") == ["t2t_vit_24"]
    sizes = request(["--only", "resnet50", "--img-size", "64", "96"]).networks
    assert [one.img_size for one in sizes] == [64, 96]


def test_what_is_measured_is_kept_and_only_the_rest_is_measured(tmp_path, capsys):
    asked = ("--models", "test_resnet", *TINY)
    assert speed(tmp_path, *asked, "--mode", "infer") == 0
    (first,) = kept(tmp_path).items()
    assert speed(tmp_path, *asked, "--json") == 0
    assert len(kept(tmp_path)) == 3
    assert first in kept(tmp_path).items()
    out, err = capsys.readouterr()
    assert err.count("[1/2] test_resnet at 32 px, train, batch 2, float32, cpu: ") == 1
    assert err.count("[2/2] test_resnet at 32 px, latency, float32, cpu: ") == 1
    (line,) = json.loads(out[out.index("{") :])["speeds"]
    assert (line["network"], line["batch"], line["model"]) == ("test_resnet", 2, None)
    before = kept(tmp_path)
    assert speed(tmp_path, *asked) == 0
    assert kept(tmp_path) == before
    assert capsys.readouterr().err == ""
    assert speed(tmp_path, *asked, "--mode", "infer", "--again") == 0
    changed = {name for name, content in kept(tmp_path).items() if content != before[name]}
    assert changed == {first[0]}


def test_a_case_that_fails_is_a_line_and_the_rest_goes_on(tmp_path, capsys):
    """More images than any memory holds, and a network that takes none of that size."""
    asked = ["--models", "alexnet", "test_resnet", *TINY[:2], "--batch", str(10**12), "2", *TINY[4:], "--mode", "infer"]
    assert speed(tmp_path, *asked) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("run_all.py: ")]
    assert len(lines) == 2
    assert lines[0].startswith("run_all.py: alexnet at 32 px: ")
    assert f"test_resnet at 32 px, infer, batch {10**12}, float32, cpu: RuntimeError: " in lines[1]
    (name,) = kept(tmp_path)
    assert name.startswith("test_resnet-32px-infer-2-float32-cpu-")
    assert "| `test_resnet`" in (tmp_path / "speed.md").read_text()


def test_where_everything_fails_there_is_no_page(tmp_path, capsys):
    assert speed(tmp_path, "--models", "alexnet", *TINY) == 1
    assert "run_all.py: alexnet at 32 px: " in capsys.readouterr().err
    assert not (tmp_path / "speed.md").exists()


def test_an_edited_speed_counts_as_none(tmp_path, capsys):
    asked = ("--models", "test_resnet", *TINY, "--mode", "latency")
    assert speed(tmp_path, *asked) == 0
    ((name, before),) = kept(tmp_path).items()
    for folder in ("runs", "evidence"):
        (tmp_path / folder / "speed" / name).write_bytes(before.replace(b'"threads": 1', b'"threads": 9'))
    capsys.readouterr()
    assert speed(tmp_path, *asked) == 0
    assert (
        f"{name}: its checksum does not hold: it was edited; restore it, or remove it to measure again"
        in capsys.readouterr().err
    )
    assert json.loads(kept(tmp_path)[name])["setting"]["threads"] == 1
    assert (tmp_path / "evidence/speed" / name).read_bytes() == kept(tmp_path)[name]


@pytest.mark.extended
def test_an_interrupted_command_continues_with_what_is_missing(tmp_path):
    models = ["test_resnet", "test_vit", "test_efficientnet"]
    words = ["speed", "--models", *models, *TINY, "--img-size", "160", "--mode", "infer", "latency"]
    words = [sys.executable, "run_all.py", *words, "--runs", str(tmp_path / "runs"), "--reports", str(tmp_path)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    interrupted = subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not kept(tmp_path):
        assert interrupted.poll() is None
        time.sleep(0.05)
    interrupted.send_signal(signal.SIGINT)
    _, err = interrupted.communicate(timeout=120)
    assert interrupted.returncode == 130
    assert err.splitlines()[-1] == "run_all.py: interrupted; finished work is kept, and the same command continues"
    assert "Traceback" not in err
    before = kept(tmp_path)
    assert 0 < len(before) < 12
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(kept(tmp_path)) == 12
    assert before.items() <= kept(tmp_path).items()
    assert sum("px, " in line for line in done.stderr.splitlines()) == 12 - len(before)


@pytest.mark.parametrize("option", [["--img-size", "33"], ["--models", "test_resnet", "nosuch"]])
def test_a_bad_request_measures_nothing(option, tmp_path, capsys):
    assert speed(tmp_path, *option) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.rglob("*.json"))
