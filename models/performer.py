"""Performer layer of the T2T module: linear-cost attention from positive random features.

Legend: B batch, N tokens, D input width, C token width (64 in the paper), M random features (C / 2).

Source: Choromanski et al., "Rethinking Attention with Performers" (FAVOR+, positive features), in the form
that the T2T-ViT authors trained (yitu-opensource/T2T-ViT). Parameter names and shapes are theirs.
"""

import math
from typing import Any

import torch
from timm.layers import register_notrace_module
from torch import Tensor, nn

from models.formulation import autocast_disabled

__all__ = ["TokenPerformer", "performer_attention", "positive_random_features"]


def positive_random_features(x: Tensor, w: Tensor) -> Tensor:
    """phi(x) = exp(w x - |x|^2 / 2) / sqrt(M), so that phi(q) . phi(k) estimates exp(q . k).

    Args:
        x: (B, N, C) queries or keys.
        w: (M, C) random directions, rows orthogonal and of length sqrt(M).

    Returns:
        (B, N, M), positive, in the type of the arguments.
    """
    half_square_norm = x.square().sum(dim=-1, keepdim=True) / 2  # (B, N, 1)
    return torch.exp(x @ w.t() - half_square_norm) / math.sqrt(w.shape[0])


def performer_attention(q: Tensor, k: Tensor, v: Tensor, w: Tensor, epsilon: float = 1e-8) -> Tensor:
    """y = phi(q) (phi(k)^T v) / (phi(q) sum phi(k) + epsilon): cost linear in N.

    Computes in float32 at least, whatever autocast says: in half precision the exponentials overflow (they reach
    e^16) and epsilon is zero, which ends training in NaN.

    Args:
        q: (B, N, C) queries.
        k: (B, N, C) keys.
        v: (B, N, C) values.
        w: (M, C) random directions.
        epsilon: added to the denominator, as the authors have it.

    Returns:
        (B, N, C) in float32, or in float64 for float64 arguments.
    """
    dtype = torch.promote_types(q.dtype, torch.float32)
    q, k, v, w = q.to(dtype), k.to(dtype), v.to(dtype), w.to(dtype)
    with autocast_disabled(q.device.type):
        phi_q, phi_k = positive_random_features(q, w), positive_random_features(k, w)  # (B, N, M)
        # Matrix products rather than einsum: the same arithmetic, and counters read them exactly.
        numerator = phi_q @ (phi_k.transpose(1, 2) @ v)  # (B, N, M) (B, M, C)
        denominator = phi_q @ phi_k.sum(dim=1).unsqueeze(-1)  # (B, N, M) (B, M, 1)
        return numerator / (denominator + epsilon)


torch.fx.wrap("performer_attention")  # one node of a graph, since its precision depends on the type of its arguments


# A leaf of the graphs that timm traces, which record no autocast.
@register_notrace_module
class TokenPerformer(nn.Module):
    """Performer attention and MLP that also change the token width: (B, N, D) to (B, N, C).

    The whole layer ignores autocast and computes in the type of its parameters (float32 unless the model
    itself was cast), the attention never below float32. The first skip connection starts at the values, since
    input and output differ in width. Both dropouts are part of the layer, whatever the model's drop rate.

    Args:
        dim: D, input width.
        token_dim: C, output width.
        feature_ratio: M / C.
        drop_rate: dropout after the projection and after the MLP.
        factory: device and dtype, as torch's layers take them.
    """

    w: Tensor

    def __init__(
        self, dim: int, token_dim: int, feature_ratio: float = 0.5, drop_rate: float = 0.1, **factory: Any
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, **factory)
        self.kqv = nn.Linear(dim, 3 * token_dim, **factory)
        self.dp = nn.Dropout(drop_rate)
        self.proj = nn.Linear(token_dim, token_dim, **factory)
        self.norm2 = nn.LayerNorm(token_dim, **factory)
        self.mlp = nn.Sequential(
            nn.Linear(token_dim, token_dim, **factory),
            nn.GELU(),
            nn.Linear(token_dim, token_dim, **factory),
            nn.Dropout(drop_rate),
        )
        # Never trained, but part of the state dict: other directions are another network.
        self.register_buffer("w", torch.empty(int(token_dim * feature_ratio), token_dim, **factory))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the random directions; the layers inside draw their own weights."""
        num_features, token_dim = self.w.shape
        dtype = torch.promote_types(self.w.dtype, torch.float32)  # half precision has no orthogonal matrices
        directions = nn.init.orthogonal_(torch.empty(num_features, token_dim, device=self.w.device, dtype=dtype))
        self.w.copy_(directions * math.sqrt(num_features))

    def forward(self, x: Tensor) -> Tensor:
        with autocast_disabled(x.device.type):
            k, q, v = self.kqv(self.norm1(x.to(self.w.dtype))).chunk(3, dim=-1)  # this order in the state dict
            y = performer_attention(q, k, v, self.w).to(v.dtype)
            x = v + self.dp(self.proj(y))
            return x + self.mlp(self.norm2(x))
