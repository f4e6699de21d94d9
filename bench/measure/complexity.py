"""Parameters and multiply-adds (MACs) of a network, measured with fvcore and cross-checked with torch.

Convention: MACs as fvcore counts them at batch 1 in evaluation mode, which is what the paper prints. One
multiply-add is one MAC; linear layers, convolutions, matrix products, norms and pooling count, activations
and softmax do not. fvcore alone misses fused attention, 4 to 9 % of a ViT: it is counted here, so that fused
and unfused attention cost the same.
"""

import datetime
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.measure.source_hash import source_sha256
from bench.results.measurement import Complexity
from bench.results.provenance import machine, other_versions, versions_of
from bench.spec.errors import RequestError
from bench.spec.run import Network

if TYPE_CHECKING:  # torch takes seconds to import, and a cached table needs none of it
    from torch import Tensor, nn

_LIBRARIES = ("torch", "torchvision", "timm", "fvcore")

_LINEAR = ("conv", "linear", "addmm")
_PRODUCTS = (*_LINEAR, "matmul", "mm", "bmm", "einsum", "scaled_dot_product_attention")
"""operators of fvcore's account that torch's FlopCounterMode counts too"""

_PRODUCT_WORDS = frozenset(
    "mm bmm addmm addbmm baddbmm mv addmv dot vdot vecdot matmul tensordot inner einsum linear bilinear trilinear "
    "cdist attention encoder conv convolution lstm gru rnn".split()
)
"""words in the names of operators that multiply matrices or convolve: one uncounted makes the count wrong"""

_TOLERANCE = 1e-3
"""relative; fvcore rounds the products it reads from einsum to four digits or so"""


class CountError(Exception):
    """A count that must not be reported, with the operator or the disagreement named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MacCount:
    """MACs of one forward pass, in three conventions, with fvcore's account by operator."""

    macs: int
    linear_macs: int
    torch_macs: int
    by_operator: Mapping[str, int]
    uncounted: Mapping[str, int]


def count_macs(model: "nn.Module", image: "Tensor") -> MacCount:
    """Count a forward pass of ``model`` on ``image``.

    Args:
        model: any module; it is counted in the mode (train or eval) that it is in.
        image: (B, C, H, W); MACs grow with B.

    Raises:
        CountError: a matrix product or convolution ran that fvcore cannot count, or fvcore and torch disagree
            by more than 0.1 %.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), warnings.catch_warnings():
        # fvcore stands on torch.jit, whose deprecation is no news to whoever wants a count.
        warnings.filterwarnings("ignore", message="`torch.jit", category=Warning)
        from fvcore.nn import FlopCountAnalysis

        analysis = FlopCountAnalysis(model, image)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        analysis.set_op_handle("aten::scaled_dot_product_attention", _fused_attention_macs)
        by_operator = {name: int(macs) for name, macs in sorted(analysis.by_operator().items())}
        uncounted = dict(sorted(analysis.unsupported_ops().items()))
        # Fused attention is one operator that torch's counter does not know on CPU; as plain
        # matrix products it does.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as torch_counter:
            model(image)

    missed = [name for name in uncounted if is_product(name)]
    if missed:
        raise CountError(
            f"{type(model).__name__} runs {', '.join(missed)}, which fvcore cannot count: the MACs would be too "
            "few; give bench/measure/complexity.py a handle for it"
        )
    products = sum(by_operator.get(name, 0) for name in _PRODUCTS)
    torch_macs = torch_counter.get_total_flops() // 2
    if abs(products - torch_macs) > _TOLERANCE * max(products, torch_macs):
        raise CountError(
            f"the counters disagree on {type(model).__name__}: {products:,} MACs in products and convolutions by "
            f"fvcore, {torch_macs:,} by torch; one of them misses an operator among {', '.join(by_operator)}"
        )
    return MacCount(
        macs=sum(by_operator.values()),
        linear_macs=sum(by_operator.get(name, 0) for name in _LINEAR),
        torch_macs=torch_macs,
        by_operator=by_operator,
        uncounted=uncounted,
    )


def is_product(operator: str) -> bool:
    """Whether an operator's name, such as "aten::baddbmm", says matrix product or convolution."""
    words = re.sub(r"\dd(?=_|$)", "", operator.rsplit("::", 1)[-1]).split("_")  # conv2d is conv
    return "upsample" not in words and not _PRODUCT_WORDS.isdisjoint(words)


def _fused_attention_macs(inputs: list[Any], outputs: list[Any]) -> int:
    # q (..., N, E), k (..., S, E), v (..., S, V): N S E for q k^T and N S V for its product with v.
    query, value = (inputs[i].type().sizes() for i in (0, 2))
    return math.prod(query[:-1]) * value[-2] * (query[-1] + value[-1])


def measure(network: Network) -> Complexity:
    """Build a network and measure it on this machine.

    Raises:
        RequestError: no such network, or it takes no images of that size.
        CountError: the count would be wrong (see ``count_macs``), or the network fails on an image of that size.
    """
    import timm

    try:
        figures = _figures(network)
    except ValueError as error:
        raise RequestError(str(error)) from error
    except RuntimeError as error:
        raise CountError(" ".join(str(error).split())) from error
    return Complexity(
        network=network,
        **figures,
        versions=versions_of(_LIBRARIES),
        source=timm.model_entrypoint(network.model).__module__.partition(".")[0],
        source_sha256=source_sha256(_figures, network.model),
        machine=machine(),
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _figures(network: Network) -> dict[str, Any]:
    """All of a measurement that our own code decides."""
    import torch

    from bench.measure.structure import read_structure
    from bench.training.build import create_network
    from models.weights import count_weights

    # One image keeps no second thread busy, and on a loaded machine threads that wait for each other
    # took ten times as long.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        built = create_network(network).eval()
        count = count_macs(built, torch.zeros(1, 3, network.img_size, network.img_size))
    finally:
        torch.set_num_threads(threads)
    return {
        "params": count_weights(built),
        "trainable_params": sum(p.numel() for p in built.parameters() if p.requires_grad),
        "macs": count.macs,
        "linear_macs": count.linear_macs,
        "torch_macs": count.torch_macs,
        "structure": read_structure(built),
        "macs_by_operator": count.by_operator,
        "uncounted_operators": count.uncounted,
    }


def is_current(measured: Complexity) -> bool:
    """Whether measuring again here could tell anything new.

    It could not while our code behind the counts is the same and no library here has another version;
    a library that is not installed cannot contradict, so that a laptop without torch still reports.
    """
    same_source = measured.source_sha256 == source_sha256(_figures, measured.network.model)
    return same_source and not other_versions(measured.versions, _LIBRARIES)
