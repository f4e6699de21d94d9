"""Weights of the T2T module for images with other channels than those that it was trained on."""

from collections.abc import Mapping

import torch
from timm.models import adapt_input_conv
from torch import Tensor

__all__ = ["RGB", "adapt_soft_split"]

RGB = 3
"""channels of the images that every registered network is for"""

KERNEL = 7
"""side of the patches that the first soft split makes, in pixels"""

_LAYER = "tokens_to_token.attention1."
"""the layer that reads the image's patches"""


def adapt_soft_split(weights: Mapping[str, Tensor], in_chans: int) -> dict[str, Tensor]:
    """Adapt the layer behind the first soft split to images with other channels.

    Its norm is folded into its linear layer, whose weights are then adapted as timm adapts those of a convolution:
    summed for one channel, otherwise repeated and scaled. A patch whose channels repeat has the mean and the variance
    that it had, so that grey images get the tokens that three equal channels gave. Only the Transformer's are not
    exactly those: its linear layer has no bias, and the norm's shift is the nearest by least squares.

    Args:
        weights: a state dict.
        in_chans: channels of the images to come.

    Returns:
        The entries that change, by name: none unless the weights have such a layer for RGB images, and ``in_chans``
        differs.
    """
    gain, shift = weights.get(f"{_LAYER}norm1.weight"), weights.get(f"{_LAYER}norm1.bias")
    linear = f"{_LAYER}{'kqv' if f'{_LAYER}kqv.weight' in weights else 'attn.qkv'}"
    weight, bias = weights.get(f"{linear}.weight"), weights.get(f"{linear}.bias")
    if gain is None or shift is None or weight is None or in_chans == RGB or len(gain) != RGB * KERNEL**2:
        return {}
    patches = (weight * gain).unflatten(1, (RGB, KERNEL, KERNEL))
    kernel = adapt_input_conv(in_chans, patches).flatten(1)  # (outputs, in_chans KERNEL^2)
    offset = weight @ shift
    adapted = {f"{linear}.weight": kernel, f"{_LAYER}norm1.weight": kernel.new_ones(kernel.shape[1])}
    if bias is not None:
        adapted |= {f"{linear}.bias": bias + offset, f"{_LAYER}norm1.bias": kernel.new_zeros(kernel.shape[1])}
    else:
        fitted = torch.linalg.lstsq(kernel.float(), offset.float()[:, None]).solution[:, 0]
        adapted[f"{_LAYER}norm1.bias"] = fitted.to(shift.dtype)
    return adapted
