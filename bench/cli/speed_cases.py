"""The cases that ``run_all.py speed`` measures, and the machine that it measures them on."""

import itertools
from importlib.metadata import version
from typing import TYPE_CHECKING

import timm
import torch

from bench.results.files import require_writable
from bench.results.provenance import machine
from bench.results.step_speeds import Case, Setting
from bench.spec.errors import RequestError
from bench.training.build import automatic_precision, create_network

if TYPE_CHECKING:
    from bench.cli.commands.speed import SpeedRequest


def setting_of(asked: "SpeedRequest") -> Setting:
    """The machine and the software that the request is measured on.

    Raises:
        RequestError: there is no such device, its clock is another, or a folder cannot be written.
    """
    device = asked.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise RequestError("--device cuda: torch sees no GPU on this machine; choose --device cpu")
    if asked.clock == "cpu" and (device != "cpu" or torch.get_num_threads() > 1):
        raise RequestError("--clock cpu measures one thread; set OMP_NUM_THREADS=1 and choose --device cpu")
    require_writable(asked.output.reports, "--reports")
    require_writable(asked.output.runs, "--runs")
    return Setting(
        machine=machine(),
        threads=torch.get_num_threads(),
        clock=asked.clock,
        versions={name: version(name) for name in ("torch", "timm")},
        gpu=gpu_name() if device == "cuda" else "",
    )


def gpu_name() -> str:
    """The name of the machine's GPU; empty if it has none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def cases_of(asked: "SpeedRequest", setting: Setting) -> list[Case]:
    """The cases of the request, network by network, each once.

    Raises:
        RequestError: no such network.
    """
    for network in asked.networks:
        if not timm.is_model(network.model):
            create_network(network)  # raises the error that names the choices
    device = "cuda" if setting.gpu else "cpu"
    precisions = asked.precisions or (automatic_precision(torch.device(device)),)
    combinations = itertools.product(asked.networks, asked.batches, precisions, asked.modes)
    found = (
        Case(
            model=network.model,
            model_args=network.model_args,
            img_size=network.img_size,
            batch=1 if mode == "latency" else batch,
            precision=precision,
            mode="infer" if mode == "latency" else mode,
            device=device,
            compile=asked.compile,
        )
        for network, batch, precision, mode in combinations
    )
    return list(dict.fromkeys(found))
