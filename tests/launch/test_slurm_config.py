"""What is asked of Slurm, from slurm.toml and from the command line."""

import dataclasses
import re

import pytest
from submitit.slurm.slurm import _make_sbatch_string

from bench.launch.slurm.client import minutes, plain
from bench.launch.slurm.config import SBATCH, Settings, SlurmRequest
from bench.launch.slurm.executor import Array, _parameters
from bench.spec.errors import RequestError
from tests.conftest import ROOT


def test_the_command_line_outranks_the_network_and_the_network_the_file(tmp_path):
    file = tmp_path / "slurm.toml"
    file.write_text(
        'partition = "gpu"\ngpus_per_node = 8\nmem_gb = 400\nmax_parallel = 16\ntime = "2-00:00:00"\n'
        '[networks."t2t_vit_24*"]\nnodes = 2\ngpus_per_node = 4\n'
    )
    settings = Settings(["partition=a100", "nodes=3"], file)
    general = SlurmRequest(nodes=3, gpus_per_node=8, mem_gb=400.0, time=2880, passed_on=(("partition", "a100"),))
    assert settings.request("resnet50") == general
    assert settings.request("t2t_vit_24") == dataclasses.replace(general, gpus_per_node=4)
    assert settings.max_parallel == 16
    assert Settings(["max_parallel=2"], file).max_parallel == 2
    assert Settings([], tmp_path / "none.toml").request("resnet50") == SlurmRequest()


def test_a_request_counts_processes_and_gpus_and_names_what_was_set():
    request = Settings(["partition=a,b", "exclusive=false", "nodes=3", "gpus_per_node=4"]).request("resnet50")
    assert (request.tasks, request.processes, request.gpus, request.partition) == (4, 12, 12, "a,b")
    assert request.options() == {"partition": "a,b", "exclusive": False, "nodes": 3, "gpus_per_node": 4}
    assert (SlurmRequest().processes, SlurmRequest(nodes=2, tasks_per_node=3).processes) == (1, 6)


def test_the_docs_show_a_file_that_is_taken(tmp_path):
    file = tmp_path / "slurm.toml"
    file.write_text(re.search(r"```toml\n(.*?)```", (ROOT / "docs/slurm.md").read_text(), re.DOTALL)[1])
    settings = Settings([], file)
    assert settings.request("t2t_vit_14").gpus_per_node == 8
    assert settings.request("t2t_vit_24").nodes == 2


def sbatch_lines(*given):
    request = dataclasses.replace(Settings(given).request("t2t_vit_14"), time=60)
    script = _make_sbatch_string("true", "/folder", **_parameters(Array(specs=(), request=request), "name", 1, ""))
    return re.findall("^#SBATCH (.*)$", script, re.MULTILINE)


@pytest.mark.parametrize("key", SBATCH)
def test_options_of_sbatch_reach_it(key):
    value, flag = ("true", "") if key == "exclusive" else ("x1", "=x1")
    assert f"--{key.replace('_', '-')}{flag}" in sbatch_lines(f"{key}={value}")


def test_what_is_not_to_be_exclusive_does_not_say_so():
    assert not [line for line in sbatch_lines("exclusive=false") if "exclusive" in line]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partition = ", ["slurm.toml", "docs/slurm.md shows one"]),
        ("partitions = 3", ["unknown key of", "'partitions'", "did you mean 'partition'"]),
        ("nodes = 0", ["nodes=0 is not possible", "from 1"]),
        ("mem_gb = -1", ["mem_gb=-1 is not possible", "a number above 0"]),
        ('exclusive = "maybe"', ["exclusive=maybe", "true or false"]),
        ("time = 0", ["time=0", "a minute or more"]),
        ('networks = "all"', ['[networks."t2t_vit_24*"]']),
        ("mem_gb = inf", ["mem_gb=inf", "a number above 0"]),
        ('partition = ["a", "b"]', ["partition must be text"]),
        ('python = " "', ["python=  is not possible", "choose a command"]),
        ('python = "apptainer exec \'image.sif python"', ["is not possible", "No closing quotation"]),
        ("[networks.resnet50]\nmax_parallel = 1", ["max_parallel limits all networks together"]),
        ("[networks.resnet50]\ngpu = 1", ['networks."resnet50"', "'gpu'"]),
    ],
)
def test_a_file_that_is_wrong(tmp_path, text, words):
    file = tmp_path / "slurm.toml"
    file.write_text(text)
    with pytest.raises(RequestError) as error:
        Settings([], file)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("90:30", 90.5),
        ("2:00:00", 120),
        ("1-12", 2160),
        ("1-12:30", 2190),
        ("3-00:00:00", 4320),
        ("infinite", float("inf")),
    ],
)
def test_time_limits_as_slurm_writes_them(text, expected):
    assert minutes(text) == expected


def test_slurm_in_one_line():
    said = (
        "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed: Invalid partition\n"
    )
    assert plain(said) == "invalid partition specified: x; Batch job submission failed: Invalid partition"


def test_a_table_for_a_network_that_there_is_not_is_refused(tmp_path):
    file = tmp_path / "slurm.toml"
    file.write_text('[networks."t2t_vitt*"]\nnodes = 2\n[networks."resnet*"]\nnodes = 2\n')
    with pytest.raises(RequestError, match=r"unknown network in .*slurm.toml 't2t_vitt\*'.*resnet50, t2t_vit_14"):
        Settings([], file).require_networks({"t2t_vit_14", "resnet50"})
    file.write_text('[networks."resnet*"]\nnodes = 2\n')
    Settings([], file).require_networks({"t2t_vit_14", "resnet50"})


def test_variables_fill_only_what_nothing_else_sets(tmp_path):
    variables = {"SBATCH_PARTITION": "low", "SBATCH_MEM_PER_CPU": "2G", "SBATCH_QOS": "few", "SBATCH_GRES": "gpu:8"}
    settings = Settings(["partition=gpu", "mem_gb=4", "gpus_per_node=a100:2"], tmp_path / "none.toml", variables)
    options = settings.request("resnet50").options()
    assert options == {"partition": "gpu", "mem_gb": 4.0, "gpus_per_node": "a100:2", "qos": "few"}
    assert settings.from_variables(["resnet50"]) == ["qos=few, from SBATCH_QOS"]
    assert settings.request("resnet50").tasks == 2
    with pytest.raises(RequestError, match="SBATCH_TIMELIMIT: time=soon is not possible"):
        Settings([], tmp_path / "none.toml", {"SBATCH_TIMELIMIT": "soon"})
