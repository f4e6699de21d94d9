"""Two formulations of the same networks, and which one runs.

"literal" runs the modules one after another, as ``tokens``, ``performer`` and timm's ``Block`` read. "fused" runs
``soft_split``, ``fused_performer`` and ``fused_block`` in place of several modules each, and computes no token that
nothing reads. Parameters, random draws and, up to rounding, values and gradients are the same.

The literal one always runs where modules are looked at: in ``torch.jit.trace``, ``torch.export``, ``torch.fx`` and on
meta tensors, where a module inside has a hook, and where one was replaced or has dropout that the other lacks.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from timm.layers.mlp import Mlp
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as _module

__all__ = ["FORMULATIONS", "Formulated", "autocast_disabled", "choose_formulation", "is_plain", "is_plain_mlp"]

FORMULATIONS = ("literal", "fused")

_FASTEST = {
    ("cpu", torch.float32): "fused",
    ("cpu", torch.bfloat16): "fused",
}
"""by device type and type of the linear layers' products, where "fused" was measured to be faster: on two cores of an
AMD EPYC with AVX-512, torch 2.12, a training step of T2T-ViT-7 and T2T-ViT-14 in batches of 8 at 224 px, and of
T2T-ViT-7 in batches of 64 at 64 px, is 1.1 to 1.3 times as fast as the paper's equations written out.
``python run_all.py speed`` measures it again. Two images of 32 px lose more to Python than they gain; float16
on a CPU, and GPUs, were not measured"""


def choose_formulation(device_type: str, dtype: torch.dtype) -> str:
    """The faster formulation where that was measured, else "literal".

    Args:
        device_type: as "cpu".
        dtype: of the linear layers' products: autocast's, or the parameters' without it.
    """
    return _FASTEST.get((device_type, dtype), "literal")


class Formulated(nn.Module):
    """A module with two formulations."""

    formulation: str | None = None
    """one of FORMULATIONS; None for the one of ``choose_formulation``"""

    def set_formulation(self, name: str | None) -> None:
        """Choose the formulation of this module and of those inside it.

        Args:
            name: one of FORMULATIONS, or None for the faster one.

        Raises:
            ValueError: unknown name.
        """
        if name is not None and name not in FORMULATIONS:
            raise ValueError(f"unknown formulation {name!r}; choose from {', '.join(FORMULATIONS)}")
        for part in self.modules():
            if isinstance(part, Formulated):
                part.formulation = name

    def fused_dtype(self, x: Tensor, parameter: Tensor) -> torch.dtype | None:
        """The type of linear layers' products if the fused formulation is to run, else None.

        Args:
            x: input of the module.
            parameter: one of the module's.
        """
        if not isinstance(x, Tensor) or x.is_meta or _is_traced():
            return None
        if x.dtype != parameter.dtype or x.dtype not in (torch.float32, torch.float64):
            return None
        device_type = x.device.type
        dtype = torch.get_autocast_dtype(device_type) if torch.is_autocast_enabled(device_type) else x.dtype
        return dtype if (self.formulation or choose_formulation(device_type, dtype)) == "fused" else None


def _is_traced() -> bool:
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_exporting()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def is_plain(*layers: tuple[nn.Module, type[nn.Module]]) -> bool:
    """Whether each layer is exactly of its type, and nothing is called when it runs."""
    if _module._has_any_global_hook():
        return False
    return all(type(layer) is kind and not has_hooks(layer) and "forward" not in vars(layer) for layer, kind in layers)


def is_plain_mlp(mlp: nn.Module) -> bool:
    """Whether it is timm's MLP with an exact GELU and no active dropout."""
    return isinstance(mlp, Mlp) and (
        is_plain((mlp, Mlp), (mlp.fc1, nn.Linear), (mlp.act, nn.GELU), (mlp.norm, nn.Identity), (mlp.fc2, nn.Linear))
        and mlp.act.approximate == "none"
        and not any(drop.training and drop.p for drop in (mlp.drop1, mlp.drop2))
    )


def has_hooks(layer: nn.Module) -> bool:
    """Whether anything is called when it runs forward or backward."""
    hooks: tuple[Any, ...] = (
        layer._forward_hooks,
        layer._forward_pre_hooks,
        layer._backward_hooks,
        layer._backward_pre_hooks,
    )
    return any(hooks)


def autocast_disabled(device_type: str) -> AbstractContextManager[object]:
    """No autocast inside, on any device."""
    # torch.autocast refuses devices that have none, meta tensors among them, and a graph of torch.fx, in which the
    # device is a proxy, records no context.
    if isinstance(device_type, str) and torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
