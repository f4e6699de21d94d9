"""Measure how fast a network trains and infers, alone or next to another implementation.

Both run in one process, in turn, so that whatever else the machine does slows both. Ours takes the trainer's own step;
the other one takes timm's averaged weights and an optimizer that goes from parameter to parameter.

Legend: B images of a batch, S their side in pixels, K classes.
"""

import importlib
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from bench.experiments.recipes import T2T_MEDIUM, changed
from bench.measure.complexity import count_macs
from bench.results.step_speeds import Case, Measured, Side
from bench.spec.errors import RequestError
from bench.spec.recipe import Recipe
from bench.spec.run import RunSpec, imagenet
from bench.training.build import build_network, build_optimizer
from bench.training.compilation import compiled
from bench.training.formulation import LITERAL, choose_formulation, use_formulation
from bench.training.metrics import PRECISIONS, autocast
from bench.training.training_step import TrainingStep

CLASSES = 1000
WARM_UP = 2
"""calls that are not timed"""

LEAST_ROUNDS, PATIENCE_S = 3, 8.0
"""Once its rounds have taken so many seconds, a network that is measured alone gets no more than the least number of
them: ten seconds of a slow network tell as much as of a fast one, and all networks of the paper take a quarter of an
hour."""

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""seconds that pass, or that this process computes: on one thread, the latter are the same on a machine that is busy"""


def measure(
    case: Case, against: str | None = None, *, rounds: int, clock: str = "wall", macs: int | None = None
) -> Measured:
    """Time a case.

    Args:
        case: what.
        against: MODULE:FUNCTION that builds the other implementation from the arguments of ``timm.create_model``, and
            whose network takes the state dict of ours; None to measure ours alone, in a process that does nothing
            else, since the memory at its peak is the whole process's.
        rounds: each calls both, in turn. A slow network that is alone takes fewer (``PATIENCE_S``).
        clock: one of CLOCKS.
        macs: multiply-adds of a forward pass over one image, where they are known; else they are counted.

    Raises:
        RequestError: no such network, or the other one is missing or does not fit.
    """
    device = torch.device(case.device)
    torch.manual_seed(0)
    spec, ours = _built(case)
    networks = {"ours": ours.to(device)}
    if against:
        networks["theirs"] = _counterpart(spec, against, networks["ours"]).to(device)
        use_formulation(networks["theirs"], LITERAL)
    formulation = choose_formulation(networks["ours"], device.type, case.precision)
    use_formulation(networks["ours"], formulation)
    images = torch.randn(case.batch, 3, case.img_size, case.img_size, device=device)
    labels = torch.randint(CLASSES, (case.batch,), device=device)
    calls: dict[str, Callable[[], object]] = {}
    saved: dict[str, int | None] = {}
    for name, network in networks.items():
        forward = compiled(network) if case.compile and name == "ours" else network
        network.train(case.mode == "train")
        if case.mode == "train":
            step = _step(spec.recipe, network, device, case.precision, plain=name == "theirs")
            step.forward = forward
            calls[name] = _training(step, images, labels)
            if case.compile:
                calls[name]()  # compiles before the forward pass is looked into
            saved[name] = saved_bytes(lambda step=step: step.loss(images, labels), network)  # type: ignore[misc]
        else:
            calls[name] = _inference(forward, images, case.precision)
            saved[name] = None
    load = os.getloadavg()[0]
    patience_s = float("inf") if against else PATIENCE_S
    seconds = time_in_turn(calls, rounds=rounds, device=device, clock=CLOCKS[clock], patience_s=patience_s)
    peak = None if against else _peak_bytes(device)
    sides = {name: Side(seconds=seconds[name], saved_bytes=saved[name], peak_bytes=peak) for name in networks}
    if macs is None:
        macs = count_macs(build_network(spec, CLASSES).eval(), torch.zeros(1, *images.shape[1:])).macs
    return Measured(
        case=case,
        formulation=formulation,
        macs=macs,
        ours=sides["ours"],
        theirs=sides.get("theirs"),
        matrix_gflops=matrix_gflops(device, case.precision, clock=CLOCKS[clock]),
        load=load,
    )


def time_in_turn(
    calls: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
    patience_s: float = float("inf"),
) -> dict[str, tuple[float, ...]]:
    """Seconds of each call in each round; every other round begins with the last.

    Each is called ``WARM_UP`` times before. There are fewer rounds, but ``LEAST_ROUNDS``, once they have taken
    ``patience_s``.
    """
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        if number >= LEAST_ROUNDS and sum(map(sum, seconds.values())) >= patience_s:
            break
        for name in reversed(list(calls)) if number % 2 else list(calls):
            _finish(device)
            began = clock()
            calls[name]()
            _finish(device)
            seconds[name].append(clock() - began)
    return {name: tuple(values) for name, values in seconds.items()}


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_bytes(device: torch.device) -> int:
    """Most memory in use at once so far, as ``Side.peak_bytes`` has it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # macOS counts bytes, Linux KiB


def saved_bytes(forward: Callable[[], object], network: nn.Module) -> int:
    """Bytes kept from a forward for the backward pass: each storage once, parameters and buffers apart."""
    known = {t.untyped_storage().data_ptr() for t in (*network.parameters(), *network.buffers())}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = forward()  # held, so that no storage is freed and its place taken by another
    del output
    return sum(found.values())


def matrix_gflops(
    device: torch.device, precision: str, *, seconds: float = 0.2, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Billions of operations a second in the best of several products of two square matrices."""
    side = 2048 if device.type == "cpu" else 8192
    a, b = torch.randn(2, side, side, device=device).to(PRECISIONS[precision]).unbind()
    best, until = float("inf"), clock() + seconds
    while clock() < until:
        _finish(device)
        began = clock()
        a @ b
        _finish(device)
        best = min(best, clock() - began)
    return 2 * side**3 / best / 1e9


def _built(case: Case) -> tuple[RunSpec, nn.Module]:
    """The case's network, and its run by the scheme of T2T-ViT, by which the paper trains the CNNs beside it too.

    Raises:
        RequestError: no such network, or it does not take images of that size.
    """
    spec = replace(imagenet(case.model, T2T_MEDIUM, img_size=case.img_size), model_args=case.model_args)
    try:
        return spec, build_network(spec, CLASSES)
    except ValueError as error:
        raise RequestError(str(error)) from error
    except RequestError as error:
        if not isinstance(error.__cause__, TypeError):
            raise
    spec = replace(spec, recipe=changed(T2T_MEDIUM, "t2t-bench: it has no residual branch to drop", drop_path=0.0))
    return spec, build_network(spec, CLASSES)


def _counterpart(spec: RunSpec, against: str, ours: nn.Module) -> nn.Module:
    module, _, function = against.partition(":")
    try:
        create = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise RequestError(
            f"--against {against!r}: {error}; choose MODULE:FUNCTION, as tests.literal_t2t:create"
        ) from error
    try:
        network = build_network(spec, CLASSES, create)
        network.load_state_dict(ours.state_dict())
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"--against {against!r} does not implement {spec.network}: {reason}") from error
    return network


def _step(recipe: Recipe, network: nn.Module, device: torch.device, precision: str, *, plain: bool) -> TrainingStep:
    step = TrainingStep(recipe, network, device, precision)
    if plain:
        step.optimizer = build_optimizer(recipe, network, fused=False)
        step.ema = ModelEmaV3(network, decay=recipe.ema_decay)
    return step


def _training(step: TrainingStep, images: Tensor, labels: Tensor) -> Callable[[], object]:
    def call() -> None:
        step.backward(step.loss(images, labels))
        step.update()

    return call


def _inference(forward: Callable[..., Any], images: Tensor, precision: str) -> Callable[[], object]:
    @torch.no_grad()
    def call() -> object:
        with autocast(images.device, precision):
            return forward(images)

    return call
