"""The formulation of a network: faster ways to compute it that change nothing but rounding.

Parameters and state dict are the same in every formulation. Which one runs is looked up in a table of measurements,
never timed when a run begins, and a run keeps the one that it began with.
"""

import torch
from torch import Tensor, nn

from bench.spec.errors import RequestError
from bench.training.metrics import PRECISIONS
from models import formulation as models_formulation
from models.formulation import FORMULATIONS, Formulated

LITERAL, CHANNELS_LAST = "literal", "channels_last"
"""a network as its modules read; a convolutional one with the channels of a pixel side by side in memory. Networks of
``models`` have those of ``models.formulation``"""

_CHANNELS_LAST = {("cpu", "float32"), ("cpu", "bfloat16"), ("cuda", "float16"), ("cuda", "bfloat16")}
"""device type and precision at which convolutional networks run in channels_last: on two cores with AVX-512 a training
step of ResNet50 is 1.16 times as fast (float32; bfloat16 1.18) and of MobileNetV2 1.5 times (1.3); on GPUs, where it
was not measured here, half-precision tensor cores take this layout alone"""


def formulations(network: nn.Module) -> tuple[str, ...]:
    """Ways in which a network can be computed, the plainest first."""
    if isinstance(network, Formulated):
        return FORMULATIONS
    return (LITERAL, CHANNELS_LAST) if _is_convolutional(network) else (LITERAL,)


def choose_formulation(network: nn.Module, device_type: str, precision: str) -> str:
    """The fastest formulation of a network, as far as measured.

    Args:
        network: any.
        device_type: as "cpu".
        precision: of autocast.
    """
    if isinstance(network, Formulated):
        return models_formulation.choose_formulation(device_type, PRECISIONS[precision])
    fast = CHANNELS_LAST if (device_type, precision) in _CHANNELS_LAST else LITERAL
    return fast if fast in formulations(network) else LITERAL


def use_fastest_formulation(network: nn.Module, device_type: str, precision: str) -> None:
    """Compute a network that is not trained as ``choose_formulation`` says."""
    use_formulation(network, choose_formulation(network, device_type, precision))


def use_formulation(network: nn.Module, formulation: str) -> None:
    """Compute a network, and copies made of it later, in one of its formulations.

    Raises:
        RequestError: it has no such formulation.
    """
    if formulation not in formulations(network):
        raise RequestError(
            f"the network has no formulation {formulation!r}; choose from {', '.join(formulations(network))}"
        )
    if isinstance(network, Formulated):
        network.set_formulation(formulation)
    elif formulation == CHANNELS_LAST:
        # Convolutions take their layout from the images, and each layer hands it on. Weights stay as they are, and with
        # them checkpoints and optimizer states; to convert them too made no difference that could be measured.
        network.register_forward_pre_hook(_lay_out)


def _lay_out(network: nn.Module, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.contiguous(memory_format=torch.channels_last) for each in images)


def _is_convolutional(network: nn.Module) -> bool:
    """Whether convolutions do its work, and not only the embedding of a ViT's patches."""
    return sum(isinstance(module, nn.Conv2d) for module in network.modules()) > 1
