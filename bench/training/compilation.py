"""torch.compile, where it was asked for."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bench.spec.errors import RequestError


def require_compiler(device: torch.device) -> None:
    """Compile something small, so that a machine that cannot is known before anything is loaded.

    Raises:
        RequestError: torch.compile fails; says why.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # says that there is no GPU
    try:
        with warnings.catch_warnings(action="ignore"):  # its own deprecations are nobody's business here
            torch.compile(lambda x: x.exp() + 1, dynamic=False)(torch.ones(2, device=device))
    except Exception as error:  # of whichever part of the tool chain is missing
        reason = " ".join(str(error).partition("Set TORCHDYNAMO_VERBOSE")[0].split())
        raise RequestError(
            f"--compile: torch.compile does not work on this machine ({reason}); install what is missing, as "
            "g++, or leave --compile out"
        ) from error


def compiled(network: nn.Module) -> Callable[..., Any]:
    """The network's forward pass as compiled code, which draws the random numbers that the network would."""
    forward: Callable[..., Any] = torch.compile(network, dynamic=False, options={"fallback_random": True})
    return forward
