"""Training by torch.compile: a real run, and what is said where there is no compiler."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from bench.launch import job
from bench.results.run_folder import load_record
from bench.spec.errors import RequestError
from bench.training.signals import Stop
from tests.conftest import ROOT
from tests.training.test_trainer import TINY, finish, resources, result, spec, start


@pytest.mark.extended
@pytest.mark.skipif(not shutil.which(os.environ.get("CXX", "g++")), reason="no C++ compiler")
def test_a_compiled_run_is_the_run(tmp_path):
    """With averaged weights, two backward passes a step, and dropout."""
    small = (*TINY, ("tokens_type", "patch"), ("drop_rate", 0.1))
    run = spec("epochs=1", "global_batch=128", model="vit_s_16", model_args=small)
    eager, compiled = (job.prepare(tmp_path / name, run) for name in ("eager", "compiled"))
    job.run(eager, resources(precision="float32", save_every_s=1000), Stop())
    code, err = finish(start(compiled, precision="float32", save_every_s=1000, compile=True), timeout=300)
    assert code == 0, err
    for part in ("network", "ema"):
        weights, expected = result(compiled)[1][part], result(eager)[1][part]
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-6)
    began = load_record(compiled).history[0]
    assert (began["what"], began["compile"]) == ("running", True)
    assert load_record(eager).history[0]["compile"] is False
    job.run(compiled, resources(precision="float32"), Stop())  # there is nothing left to train
    history = load_record(compiled).history
    assert [event["note"] for event in history if event["what"] == "compile"] == ["goes on without --compile"]


@pytest.mark.extended
def test_without_a_compiler_a_run_ends_before_it_begins(tmp_path):
    """In a process of its own: torch keeps what it found."""
    folder = job.prepare(tmp_path, spec())
    environment = os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    code = "import sys; from bench.entry import Job; "
    code += "sys.exit(Job(folder=sys.argv[1], resources={'data': 'nowhere', 'compile': True})()[0])"
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("bench: --compile: torch.compile does not work on this machine (")
    assert "no-such-compiler" in last
    assert "Traceback" not in done.stderr
    assert load_record(folder).epoch == 0


def test_parts_of_a_local_batch_are_refused_before_data_and_compiler_are_looked_for(tmp_path):
    folder = job.prepare(tmp_path, spec("local_batch=32", dataset="cifar10"))
    with pytest.raises(
        RequestError, match=r"--compile takes whole local batches, here of 32 images, and --micro-batch 16"
    ):
        job.run(folder, resources(compile=True, micro_batch=16), Stop())
