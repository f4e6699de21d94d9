"""The Performer layer as one operation that keeps its keys, queries and values alone.

Values are those of ``performer.TokenPerformer`` behind its first linear layer; everything else, random features,
norm and MLP, is computed again in the backward pass, a few images at a time.

Legend: B images of a group, N tokens, C token width, M random features. Gradients are d_...; with E the exponents
w x - |x|^2 / 2 of keys or queries x,

    y = phi(q) S / (phi(q) s),    S = phi(k)^T v  (M, C),    s = phi(k)^T 1  (M, 1),    phi = exp(E),
    d_E = phi d_phi,    d_x = d_E w - (sum over M of d_E) x.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from models.formulation import autocast_disabled
from models.performer import TokenPerformer
from models.soft_split import image_groups

__all__ = ["performer_layer"]

_aten = torch.ops.aten


def performer_layer(kqv: Tensor, layer: TokenPerformer, epsilon: float = 1e-8) -> Tensor:
    """x + dropout(mlp(norm(x))) of x = v + dropout(proj(y)): (B, N, 3 C) to (B, N, C).

    Args:
        kqv: the layer's keys, queries and values, in the type in which linear layers are to be computed.
        layer: with parameters of float32 or float64, which is the type of the output.
        epsilon: added to the denominator.
    """
    mlp: Any = layer.mlp
    fc1, _, fc2, drop = mlp
    drops = [each.p if each.training else 0.0 for each in (layer.dp, drop)]
    kept = [_draw_kept((*kqv.shape[:2], layer.w.shape[1]), rate, layer.w) if rate else None for rate in drops]
    parameters = [each for part in (layer.proj, layer.norm2, fc1, fc2) for each in (part.weight, part.bias)]
    with autocast_disabled(kqv.device.type):
        y: Tensor = _PerformerLayer.apply(kqv, layer.w, *kept, drops, layer.norm2.eps, epsilon, *parameters)
    return y


def _draw_kept(shape: tuple[int, ...], rate: float, like: Tensor) -> Tensor:
    """Draw the values that dropout keeps, (B, N, C) bool, as ``functional.dropout`` draws them."""
    if like.device.type == "cpu":
        # The very numbers that bernoulli_ compares, which it takes half as long again to draw.
        return torch.empty(shape, dtype=torch.float64, device=like.device).uniform_() < 1 - rate
    return torch.native_dropout(like.new_ones(shape), rate, True)[1]


class _Weights(NamedTuple):
    proj: Tensor
    proj_bias: Tensor
    gain: Tensor
    shift: Tensor
    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor

    def to(self, dtype: torch.dtype) -> "_Weights":
        """Linear layers in another type; the norm keeps its own."""
        return _Weights(*(w if w is self.gain or w is self.shift else w.to(dtype) for w in self))


class _PerformerLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kqv: Tensor,
        w: Tensor,
        kept1: Tensor | None,
        kept2: Tensor | None,
        drop_rates: list[float],
        eps: float,
        epsilon: float,
        *parameters: Tensor,
    ) -> Tensor:
        """Compute the output.

        Many parameters: autograd takes each tensor and constant by itself.
        """
        weights = _Weights(*parameters).to(kqv.dtype)
        out = w.new_empty(*kqv.shape[:2], w.shape[1])
        for group in _groups(kqv, w):
            drop1, drop2 = _drops((kept1, kept2), drop_rates, group, w.dtype)
            own = kqv[group].to(w.dtype)
            x = _skip(own, _attend(own, w, epsilon).y, drop1, weights)
            hidden = functional.linear(_norm(x, weights, eps)[0].to(kqv.dtype), weights.weight1, weights.bias1)
            z = functional.linear(functional.gelu(hidden), weights.weight2, weights.bias2).view_as(out[group])
            drop2.add(x.view_as(z), z, out=out[group])
        ctx.save_for_backward(kqv, w, kept1, kept2, *parameters)
        ctx.drop_rates, ctx.eps, ctx.epsilon = drop_rates, eps, epsilon
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        kqv, w, kept1, kept2, *parameters = ctx.saved_tensors
        weights, dtype, width = _Weights(*parameters).to(kqv.dtype), kqv.dtype, w.shape[1]
        d_parameters = _Weights(*(torch.zeros_like(parameter) for parameter in parameters))
        d_kqv = torch.empty_like(kqv)
        for group in _groups(kqv, w):
            drop1, drop2 = _drops((kept1, kept2), ctx.drop_rates, group, w.dtype)
            own = kqv[group].to(w.dtype)
            attention = _attend(own, w, ctx.epsilon)
            x = _skip(own, attention.y, drop1, weights)
            normed, mean, rstd = _norm(x, weights, ctx.eps)
            normed = normed.to(dtype)
            hidden = functional.linear(normed, weights.weight1, weights.bias1)

            d_out = g[group].reshape(-1, width)
            d_z = drop2.gradient(d_out, dtype)
            d_hidden = _aten.gelu_backward(d_z @ weights.weight2, hidden)
            d_normed = (d_hidden @ weights.weight1).to(w.dtype)
            dx, d_gain, d_shift = _aten.native_layer_norm_backward(
                d_normed, x, weights.gain.shape, mean, rstd, weights.gain, weights.shift, [True] * 3
            )
            dx += d_out
            d_proj = drop1.gradient(dx, dtype)
            sums = (
                *_linear_gradients(d_proj, attention.y.to(dtype)),
                d_gain,
                d_shift,
                *_linear_gradients(d_hidden, normed),
                *_linear_gradients(d_z, functional.gelu(hidden)),
            )
            for total, part in zip(d_parameters, sums, strict=True):
                total += part
            dy = (d_proj @ weights.proj).to(w.dtype)
            _attend_backward(own, w, attention, dy, dx, d_kqv[group])
        return d_kqv, None, None, None, None, None, None, *d_parameters


def _groups(kqv: Tensor, w: Tensor) -> Any:
    return image_groups(len(kqv), kqv[0].numel() * w.element_size())


class _Drop(NamedTuple):
    """Dropout of some images."""

    kept: Tensor | None  # (B N, C) of zeros and ones, or without dropout None
    factor: float  # of what is kept

    def add(self, x: Tensor, z: Tensor, out: Tensor | None = None) -> Tensor:
        """x + dropout(z)."""
        if self.kept is None:
            return torch.add(x, z, out=out)
        return torch.addcmul(x, z, self.kept.view_as(z), value=self.factor, out=out)

    def gradient(self, g: Tensor, dtype: torch.dtype) -> Tensor:
        """The gradient of z, from that of dropout(z)."""
        return g.to(dtype) if self.kept is None else (g * self.kept).mul_(self.factor).to(dtype)


def _drops(
    kept: tuple[Tensor | None, Tensor | None], rates: list[float], group: slice, dtype: torch.dtype
) -> list[_Drop]:
    return [
        _Drop(None if of_batch is None else of_batch[group].flatten(0, 1).to(dtype), 1 / (1 - rate))
        for of_batch, rate in zip(kept, rates, strict=True)
    ]


def _skip(kqv: Tensor, y: Tensor, drop: _Drop, weights: _Weights) -> Tensor:
    """v + dropout(proj(y)), (B N, C)."""
    z = functional.linear(y.to(weights.proj.dtype), weights.proj, weights.proj_bias)
    return drop.add(kqv.flatten(0, 1).chunk(3, 1)[2], z)


def _norm(x: Tensor, weights: _Weights, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """x (B N, C) normalised, its mean and its reciprocal deviation (B N, 1)."""
    return torch.native_layer_norm(x, weights.gain.shape, weights.gain, weights.shift, eps)


def _linear_gradients(g: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias."""
    return g.t() @ x, g.sum(0)


class _Attention(NamedTuple):
    phi_k: Tensor  # (B, N, M)
    phi_q: Tensor  # (B, N, M)
    values: Tensor  # S (B, M, C)
    total: Tensor  # s (B, M, 1)
    denominator: Tensor  # (B, N, 1)
    y: Tensor  # (B N, C)


def _attend(kqv: Tensor, w: Tensor, epsilon: float) -> _Attention:
    # Without the factor 1 / sqrt(M) of phi, which leaves M beside epsilon and cancels elsewhere.
    images, features = len(kqv), len(w)
    k, q, _ = kqv.flatten(0, 1).chunk(3, 1)
    phi_k, phi_q = (
        (x @ w.t()).sub_(torch.linalg.vecdot(x, x).div_(2).unsqueeze(1)).exp_().unflatten(0, (images, -1))
        for x in (k, q)
    )
    v = kqv.chunk(3, 2)[2]
    values, total = phi_k.transpose(1, 2) @ v, phi_k.sum(1).unsqueeze(2)
    denominator = torch.linalg.vecdot(phi_q, total.transpose(1, 2)).add_(features * epsilon).unsqueeze(2)
    y = (phi_q @ values).div_(denominator).flatten(0, 1)
    return _Attention(phi_k, phi_q, values, total, denominator, y)


def _attend_backward(kqv: Tensor, w: Tensor, attention: _Attention, dy: Tensor, dv: Tensor, d_kqv: Tensor) -> None:
    """Write d_kqv (B, N, 3 C), from the gradients of y and, past the attention, of v, both (B N, C).

    Many parameters: one step of the backward pass.
    """
    phi_k, phi_q, values, total, denominator, y = attention
    (k, q, v), (d_k, d_q, d_v) = (x.chunk(3, 2) for x in (kqv, d_kqv))
    d_numerator = dy.view_as(v).div_(denominator)
    d_denominator = torch.linalg.vecdot(d_numerator, y.view_as(v)).neg_().unsqueeze(2)
    d_values = phi_q.transpose(1, 2) @ d_numerator
    d_total = (phi_q * d_denominator).sum(1).unsqueeze(2)
    d_phi_q = torch.baddbmm(d_denominator * total.transpose(1, 2), d_numerator, values.transpose(1, 2))
    d_phi_k = torch.baddbmm(d_total.transpose(1, 2), v, d_values.transpose(1, 2))
    for x, phi, d_phi, d_x in ((k, phi_k, d_phi_k, d_k), (q, phi_q, d_phi_q, d_q)):
        d_exponents = d_phi.mul_(phi)
        product = (d_exponents.flatten(0, 1) @ w).view_as(x)
        d_x.copy_(product.addcmul_(x, d_exponents.sum(2, keepdim=True), value=-1))
    d_v.copy_(torch.baddbmm(dv.view_as(v), phi_k, d_values))
