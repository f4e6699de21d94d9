"""Soft split, LayerNorm and Linear as one operation: the T2T module's layers without its unfolded patches.

Legend: B batch, C channels and H x W size of a map, h x w its patches, N = h w, D = C kernel^2 values of a patch, O
width of the linear layer's output. Gradients are d_....

Behind a norm with gain g and shift b, a linear layer W, c takes a patch p with mean m and deviation s to

    W (g (p - m) / s + b) + c = (1 / s) K (p - m) + (W b + c),    K = W diag(g).

Of an image, whose flat patches must come out as exact zeros before 1 / s magnifies them, patches are copied, a few
images at a time, and kept normalised in the type of the product: from channels_last, where a row of a patch lies in
one piece, that is faster than an unfold. Of a map with many channels there are no patches: adding one number to a
patch changes nothing, so that the rows of K may be centred; then K (p - m) = K p is a convolution, and m and s follow
from pools.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from models.formulation import autocast_disabled

__all__ = ["image_groups", "split_linear", "split_norm_linear"]

_aten = torch.ops.aten

Split = tuple[int, int, int]
"""kernel, stride and padding of a soft split, the same along both axes"""

GROUP_BYTES = 2**22
"""of a tensor that is handled at once: a few of them fit into a processor's last cache"""

FEW_CHANNELS = 8
"""up to which patches are copied rather than convolved"""


def image_groups(images: int, bytes_per_image: int) -> Iterator[slice]:
    """Slices of a batch, as even as can be, with up to GROUP_BYTES each."""
    groups = max(1, min(images, math.ceil(images * bytes_per_image / GROUP_BYTES)))
    size = math.ceil(images / groups)
    return (slice(first, first + size) for first in range(0, images, size))


def split_linear(x: Tensor, split: nn.Unfold, linear: nn.Linear) -> Tensor:
    """linear(patches), a convolution: (B, C, H, W) to (B, N, O)."""
    kernel, stride, padding = _sides(split)
    weight = linear.weight.view(-1, x.shape[1], kernel, kernel)
    return _to_tokens(functional.conv2d(x, weight, linear.bias, stride, padding))


def split_norm_linear(x: Tensor, split: nn.Unfold, norm: nn.LayerNorm, linear: nn.Linear, dtype: torch.dtype) -> Tensor:
    """linear(norm(patches)): (B, C, H, W) to (B, N, O) in ``dtype``.

    Args:
        x: image or map, in the type of the parameters; fastest in channels_last.
        split: kernel, stride and padding.
        norm: over D values.
        linear: D to O.
        dtype: of the product; the norm is computed in the type of the parameters.
    """
    operation = _CopiedPatches if x.shape[1] <= FEW_CHANNELS else _ConvolvedPatches
    bias = linear.weight.new_zeros(len(linear.weight)) if linear.bias is None else linear.bias
    with autocast_disabled(x.device.type):
        y: Tensor = operation.apply(x, norm.weight, norm.bias, linear.weight, bias, _sides(split), norm.eps, dtype)
    return y


class _CopiedPatches(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        split: Split,
        eps: float,
        dtype: torch.dtype,
    ) -> Tensor:
        """Compute the output.

        Many parameters: autograd takes each tensor and constant by itself.
        """
        kernel = _by_position(weight * gain, x.shape[1]).to(dtype)
        offset = torch.addmv(bias, weight, shift).to(dtype)
        images, patches, size = len(x), math.prod(_grid(x, split)), weight.shape[1]
        normed, rstd = x.new_empty(images, patches, size, dtype=dtype), x.new_empty(images, patches, 1)
        for group in image_groups(images, patches * size * x.element_size()):
            found, _, rstd_of_group = _norm(_copy_patches(x[group], split), eps)
            normed[group], rstd[group] = found.view_as(normed[group]), rstd_of_group.view_as(rstd[group])
        ctx.save_for_backward(gain, shift, weight, normed, rstd)
        ctx.shape, ctx.split = x.shape, split
        return functional.linear(normed, kernel, offset)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        gain, shift, weight, normed, rstd = ctx.saved_tensors
        channels, dtype = ctx.shape[1], weight.dtype
        dx = None
        if ctx.needs_input_grad[0]:
            kernel = _by_position(weight * gain, channels).to(normed.dtype)
            dx = rstd.new_empty(ctx.shape).contiguous(memory_format=torch.channels_last)
            for group in image_groups(len(normed), normed[0].numel() * dx.element_size()):
                d_patches = _norm_backward((g[group] @ kernel).to(dtype), normed[group].to(dtype), rstd[group])
                dx[group] = _sum_patches(d_patches, dx[group], ctx.split)
        d_kernel = _by_channel((g.flatten(0, 1).t() @ normed.flatten(0, 1)).to(dtype), channels)
        return dx, *_parameter_gradients(d_kernel, g, gain, shift, weight), None, None, None


class _ConvolvedPatches(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        split: Split,
        eps: float,
        dtype: torch.dtype,
    ) -> Tensor:
        """Compute the output.

        Many parameters: autograd takes each tensor and constant by itself.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        mean, rstd = _patch_statistics(x, split, eps)
        offset = torch.addmv(bias, weight, shift)
        _, stride, padding = split
        y = _to_tokens(functional.conv2d(x.to(dtype), _centred(weight * gain, x, split, dtype), None, stride, padding))
        y = torch.addcmul(offset.to(dtype), y, rstd.to(dtype)) if dtype == x.dtype else (y * rstd + offset).to(dtype)
        ctx.save_for_backward(x, gain, shift, weight, offset, mean, rstd, y)
        ctx.split = split
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, shift, weight, offset, mean, rstd, y = ctx.saved_tensors
        dtype, (size, stride, padding), grid = y.dtype, ctx.split, _grid(x, ctx.split)
        to_map = ctx.needs_input_grad[0]
        d_conv = (g * rstd).to(dtype).unflatten(1, grid).permute(0, 3, 1, 2)
        dx, d_kernel, _ = _aten.convolution_backward(
            d_conv,
            x.to(dtype),
            _centred(weight * gain, x, ctx.split, dtype),
            None,
            [stride, stride],
            [padding, padding],
            [1, 1],
            False,
            [0, 0],
            1,
            [to_map, True, False],
        )
        if to_map:
            # d rstd / d p = -rstd^3 (p - mean) / D, of every patch that a pixel is in
            d_rstd = (torch.linalg.vecdot(g, y) - g @ offset.to(dtype)).to(x.dtype).unsqueeze(2) / rstd
            d_square = d_rstd * rstd.pow(3) / -x.shape[1]
            pooled = torch.cat((d_square, d_square * mean), 2).unflatten(1, grid).permute(0, 3, 1, 2)
            factor, constant = _aten.avg_pool2d_backward(
                pooled.contiguous(), x[:, :2], [size, size], [stride, stride], [padding, padding], False, True, None
            ).split(1, 1)
            dx = dx.to(x.dtype).addcmul_(x, factor).sub_(constant)
        d_kernel = d_kernel.to(weight.dtype).flatten(1)
        d_kernel = d_kernel - d_kernel.mean(1, keepdim=True)
        return dx, *_parameter_gradients(d_kernel, g, gain, shift, weight), None, None, None


def _parameter_gradients(
    d_kernel: Tensor, g: Tensor, gain: Tensor, shift: Tensor, weight: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of gain, shift, weight and bias, from those of K (O, D) and of the output (B, N, O)."""
    d_offset = g.sum((0, 1)).to(weight.dtype)
    return (d_kernel * weight).sum(0), d_offset @ weight, torch.addr(d_kernel * gain, d_offset, shift), d_offset


def _sides(split: nn.Unfold) -> Split:
    kernel, stride, padding = split.kernel_size, split.stride, split.padding
    assert isinstance(kernel, int)
    assert isinstance(stride, int)
    assert isinstance(padding, int)
    return kernel, stride, padding


def _grid(x: Tensor, split: Split) -> tuple[int, int]:
    """(h, w), by Eq. 3 of the paper."""
    kernel, stride, padding = split
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in x.shape[2:])
    return height, width


def _to_tokens(x: Tensor) -> Tensor:
    """(B, O, h, w) to (B, N, O): a view of a map in channels_last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _norm(patches: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(p - m) / s of patches (B N, D), then m and 1 / s."""
    return torch.native_layer_norm(patches, patches.shape[1:], None, None, eps)


def _norm_backward(g: Tensor, normed: Tensor, rstd: Tensor) -> Tensor:
    """Gradient of patches p (..., D), from that of (p - m) / s, that itself, and 1 / s (..., 1)."""
    return (g - g.mean(-1, keepdim=True) - normed * (g * normed).mean(-1, keepdim=True)) * rstd


def _by_position(kernel: Tensor, channels: int) -> Tensor:
    """(O, D) with D in the order of copied patches, (row, column, channel)."""
    return kernel.unflatten(1, (channels, -1)).transpose(1, 2).flatten(1)


def _by_channel(kernel: Tensor, channels: int) -> Tensor:
    """(O, D) with D in the order of an unfold, (channel, row, column)."""
    return kernel.unflatten(1, (-1, channels)).transpose(1, 2).flatten(1)


def _copy_patches(x: Tensor, split: Split) -> Tensor:
    """(B, C, H, W) to (B N, D)."""
    kernel, stride, padding = split
    height, width = _grid(x, split)
    x = functional.pad(x.permute(0, 2, 3, 1), (0, 0, *[padding] * 4)).contiguous()
    image, row, pixel, _ = x.stride()
    shape = (len(x), height, width, kernel, kernel * x.shape[3])
    return x.as_strided(shape, (image, stride * row, stride * pixel, row, 1)).reshape(-1, kernel * shape[-1])


def _sum_patches(patches: Tensor, like: Tensor, split: Split) -> Tensor:
    """(B N, D) to (B, C, H, W): the reverse of copying, with values that meet in a pixel added."""
    kernel, stride, padding = split
    images, channels, height, width = like.shape
    rows, columns = _grid(like, split)
    padded = patches.new_zeros(images, height + 2 * padding, width + 2 * padding, channels)
    parts = patches.view(images, rows, columns, kernel, kernel, channels)
    for i in range(kernel):
        for j in range(kernel):
            padded[:, i : i + stride * rows : stride, j : j + stride * columns : stride] += parts[:, :, :, i, j]
    return padded[:, padding : padding + height, padding : padding + width].permute(0, 3, 1, 2)


def _centred(kernel: Tensor, x: Tensor, split: Split, dtype: torch.dtype) -> Tensor:
    """K (O, D) with centred rows, as the weight of a convolution of x."""
    kernel = kernel - kernel.mean(1, keepdim=True)
    kernel = kernel.view(-1, x.shape[1], split[0], split[0]).to(dtype)
    return kernel.contiguous(memory_format=torch.channels_last)


def _patch_statistics(x: Tensor, split: Split, eps: float) -> tuple[Tensor, Tensor]:
    """m and 1 / s of each patch, (B, N, 1); padding counts as zeros, as in an unfold.

    The variance is that inside pixels and that between them. The latter is a difference of squares, in float64.
    """
    mean = x.mean(1, keepdim=True)
    inside = torch.linalg.vector_norm(x - mean, dim=1, keepdim=True)
    pixels = torch.cat((mean, mean, inside), 1).double()
    pixels[:, 1:].square_()
    pixels[:, 2:] /= x.shape[1]
    mean, square, inside = functional.avg_pool2d(pixels, *split).flatten(2).unsqueeze(3).unbind(1)
    variance = inside + (square - mean.square()).clamp_(min=0)
    return mean.to(x.dtype), (variance + eps).rsqrt().to(x.dtype)
