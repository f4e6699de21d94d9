"""T2T-ViT as the paper's equations have it, one after another: what ``models`` is held against, in values and in speed.

Nothing is fused, rearranged or recomputed. A soft split is an unfold, attention is softmax(q k^T) v written out, and
under autocast every operation takes the precision that autocast gives it. Parameter names are those of
yitu-opensource/T2T-ViT, so that a state dict of ``models`` loads with ``strict=True``.

Legend: B batch, N tokens, D input width, C output width, M random features.

Source: Yuan et al., arXiv 2101.11986, sections 3.1 and 3.2; for the Performer Choromanski et al., arXiv 2009.14794.
"""

import math

import torch
from timm.layers import DropPath
from torch import Tensor, nn

SIZES = {  # width, depth, heads, MLP ratio
    "7": (256, 7, 4, 2),
    "10": (256, 10, 4, 2),
    "12": (256, 12, 4, 2),
    "14": (384, 14, 6, 3),
    "19": (448, 19, 7, 3),
    "24": (512, 24, 8, 3),
}
SOFT_SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))  # kernel, stride, padding
TOKEN_DIM = 64


class Performer(nn.Module):
    """Attention in random features, then an MLP: (B, N, D) to (B, N, C)."""

    def __init__(self, dim: int, token_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.kqv = nn.Linear(dim, 3 * token_dim)
        self.dp = nn.Dropout(0.1)
        self.proj = nn.Linear(token_dim, token_dim)
        self.norm2 = nn.LayerNorm(token_dim)
        self.mlp = nn.Sequential(
            nn.Linear(token_dim, token_dim), nn.GELU(), nn.Linear(token_dim, token_dim), nn.Dropout(0.1)
        )
        features = token_dim // 2
        self.w = nn.Parameter(nn.init.orthogonal_(torch.empty(features, token_dim)) * features**0.5, False)

    def phi(self, x: Tensor) -> Tensor:
        """exp(w x - |x|^2 / 2) / sqrt(M): (B, N, C) to (B, N, M)."""
        projected = torch.einsum("bnc,mc->bnm", x.float(), self.w)
        half_square = (x * x).sum(-1, keepdim=True) / 2
        return torch.exp(projected - half_square) / math.sqrt(len(self.w))

    def forward(self, x: Tensor) -> Tensor:
        k, q, v = self.kqv(self.norm1(x)).chunk(3, dim=-1)
        phi_k, phi_q = self.phi(k), self.phi(q)
        total = torch.einsum("bnm,bm->bn", phi_q, phi_k.sum(1))
        values = torch.einsum("bnc,bnm->bcm", v.float(), phi_k)
        y = torch.einsum("bnm,bcm->bnc", phi_q, values) / (total[:, :, None] + 1e-8)
        x = v + self.dp(self.proj(y))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """softmax(scale q k^T) v, projected: (B, N, D) to (B, N, C); where D is not C, the skip starts at v."""

    def __init__(self, dim: int, out_dim: int, heads: int, scale: float) -> None:
        super().__init__()
        self.heads, self.scale, self.skip_from_v = heads, scale, dim != out_dim
        self.qkv = nn.Linear(dim, 3 * out_dim, bias=False)
        self.proj = nn.Linear(out_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, heads, N, C')
        weights = (self.scale * (q @ k.transpose(-2, -1))).softmax(-1)
        y = self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, -1))
        return v.squeeze(1) + y if self.skip_from_v else y


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class TokenTransformer(nn.Module):
    """Single-head attention at the scale of its input width, then an MLP: (B, N, D) to (B, N, C)."""

    def __init__(self, dim: int, token_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, token_dim, heads=1, scale=dim**-0.5)
        self.norm2 = nn.LayerNorm(token_dim)
        self.mlp = Mlp(token_dim, token_dim)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Block(nn.Module):
    """Pre-norm transformer block: (B, N, C) to (B, N, C)."""

    def __init__(self, dim: int, heads: int, mlp_ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = Attention(dim, dim, heads, scale=(dim // heads) ** -0.5)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, mlp_ratio * dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class T2TModule(nn.Module):
    """Soft split, token layer, soft split, token layer, soft split, projection: (B, 3, H, W) to (B, HW / 256, C)."""

    def __init__(self, layer: type[nn.Module], embed_dim: int) -> None:
        super().__init__()
        self.soft_split0, self.soft_split1, self.soft_split2 = (
            nn.Unfold(kernel, stride=stride, padding=padding) for kernel, stride, padding in SOFT_SPLITS
        )
        self.attention1 = layer(3 * 7 * 7, TOKEN_DIM)
        self.attention2 = layer(TOKEN_DIM * 3 * 3, TOKEN_DIM)
        self.project = nn.Linear(TOKEN_DIM * 3 * 3, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = self.attention1(self.soft_split0(x).transpose(1, 2))
        x = x.transpose(1, 2).reshape(len(x), TOKEN_DIM, height // 4, width // 4)
        x = self.attention2(self.soft_split1(x).transpose(1, 2))
        x = x.transpose(1, 2).reshape(len(x), TOKEN_DIM, height // 8, width // 8)
        return self.project(self.soft_split2(x).transpose(1, 2))


class LiteralT2TViT(nn.Module):
    """(B, 3, H, W) to logits (B, K)."""

    def __init__(
        self,
        layer: type[nn.Module],
        embed_dim: int,
        depth: int,
        heads: int,
        mlp_ratio: int,
        *,
        img_size: int,
        num_classes: int,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.tokens_to_token = T2TModule(layer, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(_sinusoid((img_size // 16) ** 2 + 1, embed_dim), False)
        rates = torch.linspace(0, drop_path_rate, depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(Block(embed_dim, heads, mlp_ratio, rate) for rate in rates)
        self.norm = nn.LayerNorm(embed_dim)
        self.head = nn.Linear(embed_dim, num_classes)

    def no_weight_decay(self) -> set[str]:
        """Parameters that weight decay skips, besides biases and norms."""
        return {"cls_token"}

    def forward(self, x: Tensor) -> Tensor:
        x = self.tokens_to_token(x)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def _sinusoid(positions: int, dim: int) -> Tensor:
    j = torch.arange(dim, dtype=torch.float64)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] / 10000 ** (2 * (j // 2) / dim)
    return torch.where(j % 2 == 0, angle.sin(), angle.cos()).float()[None]


def create(model: str, *, img_size: int = 224, num_classes: int = 1000, drop_path_rate: float = 0.0) -> LiteralT2TViT:
    """The literal counterpart of a network that is registered with timm.

    Args:
        model: as ``t2t_vit_14``, or ``t2t_vit_t_14`` with transformer layers in the T2T module.
        img_size: side of the images, in pixels.
        num_classes: K.
        drop_path_rate: stochastic depth of the last block.

    Raises:
        ValueError: there is no literal counterpart.
    """
    size = model.removeprefix("t2t_vit_").removeprefix("t_")
    if not model.startswith("t2t_vit_") or size not in SIZES:
        choices = ", ".join(
            [*(f"t2t_vit_{size}" for size in SIZES), *(f"t2t_vit_t_{size}" for size in ("14", "19", "24"))]
        )
        raise ValueError(f"{model!r} has no literal counterpart; choose from {choices}")
    layer = TokenTransformer if model.startswith("t2t_vit_t_") else Performer
    return LiteralT2TViT(layer, *SIZES[size], img_size=img_size, num_classes=num_classes, drop_path_rate=drop_path_rate)
