"""The two branches of a transformer block, each as one operation of autograd with its gradient written out.

Values are those of timm's ``Block`` between a residual stream and the next; the norms, and with them the inputs of
the linear layers, and the MLP's activations are computed again in the backward pass. Under autocast each tensor is
converted once.

Legend: B batch, N tokens, C width, H heads, F hidden width of the MLP. Gradients are d_....
"""

from typing import Any

import torch
from timm.layers import Attention
from timm.layers.mlp import Mlp
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from models.formulation import autocast_disabled

__all__ = ["attention_branch", "mlp_branch"]

_aten = torch.ops.aten


def attention_branch(x: Tensor, norm: nn.LayerNorm, attn: Attention, dtype: torch.dtype) -> Tensor:
    """attn(norm(x)), its map written out: (B, N, C) to (B, N, C) in ``dtype``."""
    layers = (norm, attn.qkv, attn.proj)
    parameters = (each for layer in layers for each in (layer.weight, layer.bias))
    with autocast_disabled(x.device.type):
        y: Tensor = _AttentionBranch.apply(x, *parameters, norm.eps, attn.num_heads, attn.scale, dtype)
    return y


def mlp_branch(x: Tensor, norm: nn.LayerNorm, mlp: Mlp, dtype: torch.dtype) -> Tensor:
    """mlp(norm(x)): (B, N, C) to (B, N, C) in ``dtype``."""
    layers = (norm, mlp.fc1, mlp.fc2)
    parameters = (each for layer in layers for each in (layer.weight, layer.bias))
    with autocast_disabled(x.device.type):
        y: Tensor = _MlpBranch.apply(x, *parameters, norm.eps, dtype)
    return y


class _AttentionBranch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        qkv_weight: Tensor,
        qkv_bias: Tensor | None,
        proj_weight: Tensor,
        proj_bias: Tensor | None,
        eps: float,
        heads: int,
        scale: float,
        dtype: torch.dtype,
    ) -> Tensor:
        """Compute the output.

        Many parameters: autograd takes each tensor and constant by itself.
        """
        images, tokens, _ = x.shape
        normed, mean, rstd = torch.native_layer_norm(x, gain.shape, gain, shift, eps)
        qkv = _linear(normed.to(dtype), qkv_weight, qkv_bias)
        qkv = qkv.view(images, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4).flatten(1, 2)  # (3, B H, N, C / H), a copy
        q, k, v = qkv.unbind()
        q.mul_(scale)  # a product's own factor, baddbmm's alpha, costs more in half precision
        weights = torch.bmm(q, k.transpose(1, 2)).softmax(-1)  # (B H, N, N)
        y = torch.bmm(weights, v).view(images, heads, tokens, -1).transpose(1, 2).flatten(2)  # (B, N, C)
        ctx.save_for_backward(x, gain, shift, mean, rstd, qkv_weight, qkv_bias, proj_weight, proj_bias, qkv, weights, y)
        ctx.heads, ctx.scale, ctx.eps = heads, scale, eps
        return _linear(y, proj_weight, proj_bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, shift, mean, rstd, qkv_weight, qkv_bias, proj_weight, proj_bias, qkv, weights, y = ctx.saved_tensors
        images, tokens, width = y.shape
        q, k, v = qkv.unbind()
        dy, d_proj_weight, d_proj_bias = _linear_backward(g, y, proj_weight, proj_bias)
        dy = dy.view(images, tokens, ctx.heads, -1).transpose(1, 2).flatten(0, 1)
        d_weights = torch.bmm(dy, v.transpose(1, 2))
        d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
        d_qkv = torch.empty_like(qkv)
        torch.bmm(d_scores, k, out=d_qkv[0]).mul_(ctx.scale)
        torch.bmm(d_scores.transpose(1, 2), q, out=d_qkv[1])
        torch.bmm(weights.transpose(1, 2), dy, out=d_qkv[2])
        d_qkv = d_qkv.view(3, images, ctx.heads, tokens, -1).permute(1, 3, 0, 2, 4).reshape(images, tokens, 3 * width)
        normed = torch.native_layer_norm(x, gain.shape, gain, shift, ctx.eps)[0].to(y.dtype)
        d_normed, d_qkv_weight, d_qkv_bias = _linear_backward(d_qkv, normed, qkv_weight, qkv_bias)
        d_norm = _aten.native_layer_norm_backward(
            d_normed.to(x.dtype), x, gain.shape, mean, rstd, gain, shift, [True] * 3
        )
        return *d_norm, d_qkv_weight, d_qkv_bias, d_proj_weight, d_proj_bias, None, None, None, None


class _MlpBranch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gain: Tensor,
        shift: Tensor,
        weight1: Tensor,
        bias1: Tensor | None,
        weight2: Tensor,
        bias2: Tensor | None,
        eps: float,
        dtype: torch.dtype,
    ) -> Tensor:
        """Compute the output.

        Many parameters: autograd takes each tensor and constant by itself.
        """
        normed, mean, rstd = torch.native_layer_norm(x, gain.shape, gain, shift, eps)
        hidden = _linear(normed.to(dtype), weight1, bias1)  # (B, N, F)
        ctx.save_for_backward(x, gain, shift, mean, rstd, weight1, bias1, weight2, bias2, hidden)
        ctx.eps = eps
        return _linear(functional.gelu(hidden), weight2, bias2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, shift, mean, rstd, weight1, bias1, weight2, bias2, hidden = ctx.saved_tensors
        d_active, d_weight2, d_bias2 = _linear_backward(g, functional.gelu(hidden), weight2, bias2)
        d_hidden = _aten.gelu_backward(d_active, hidden)
        normed = torch.native_layer_norm(x, gain.shape, gain, shift, ctx.eps)[0].to(hidden.dtype)
        d_normed, d_weight1, d_bias1 = _linear_backward(d_hidden, normed, weight1, bias1)
        d_norm = _aten.native_layer_norm_backward(
            d_normed.to(x.dtype), x, gain.shape, mean, rstd, gain, shift, [True] * 3
        )
        return *d_norm, d_weight1, d_bias1, d_weight2, d_bias2, None, None


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer in the type of its input."""
    return functional.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


def _linear_backward(g: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of input, weight and bias, the latter two in the type of the weight."""
    flat = g.flatten(0, -2)
    d_weight = (flat.t() @ x.flatten(0, -2)).to(weight.dtype)
    d_bias = None if bias is None else flat.sum(0).to(bias.dtype)
    return g @ weight.to(g.dtype), d_weight, d_bias
