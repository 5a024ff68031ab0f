"""Transformer block: self-attention, MLP and their initialization."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import StochasticDepth


def init_linear_and_norm(module: nn.Module) -> None:
    """Xavier-uniform linear maps with zero bias, identity LayerNorms; use with ``apply``."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def build_mlp(dim: int, hidden_dim: int, drop_rate: float = 0.0) -> nn.Sequential:
    """Two linear maps with GELU between them; the names are those of timm's checkpoints."""
    layers = nn.Sequential()
    layers.add_module("fc1", nn.Linear(dim, hidden_dim))
    layers.add_module("act", nn.GELU())
    layers.add_module("drop1", nn.Dropout(drop_rate))
    layers.add_module("fc2", nn.Linear(hidden_dim, dim))
    layers.add_module("drop2", nn.Dropout(drop_rate))
    return layers


class SelfAttention(nn.Module):
    """Multi-head self-attention over all tokens of a sequence.

    Args:
        dim: channels, a multiple of ``num_heads``.
        num_heads: attention heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Tokens (B, L, D) to (B, L, D), or windows (B, nW, L, D) to (B, nW, L, D).

        ``allowed`` (1, nW, L, L), for windows only, is True where a query (rows) may attend to a
        key (columns); None permits all pairs.
        """
        shape = x.shape
        # attention has fast paths for four dimensions only: windows become images of their own
        qkv = self.qkv(x).reshape(-1, shape[-2], 3, self.num_heads, shape[-1] // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        permission = None
        if allowed is not None:
            permission = allowed.expand(shape[0], -1, -1, -1).flatten(0, 1)[:, None]
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=permission)
        return self.proj(x.transpose(1, 2).reshape(shape))


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and feed-forward network (ViT, arXiv 2010.11929).

    Args:
        dim: channels of the tokens.
        num_heads: attention heads.
        mlp_ratio: width of the feed-forward network relative to ``dim``.
        drop_path_rate: stochastic depth of both branches.
        norm_eps: epsilon of the LayerNorms.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = SelfAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = build_mlp(dim, int(dim * mlp_ratio))
        self.drop_path = StochasticDepth(drop_path_rate, mode="row")

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Tokens (B, L, D) to (B, L, D), or windows; see :meth:`SelfAttention.forward`."""
        x = x + self.drop_path(self.attn(self.norm1(x), allowed))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def run_block(block: nn.Module, with_cp: bool, *inputs: Any) -> Tensor:
    """Apply one block; ``with_cp`` recomputes it in the backward pass."""
    if with_cp and torch.is_grad_enabled():
        return checkpoint(block, *inputs, use_reentrant=False)
    return block(*inputs)


def checkpointed_forward(
    blocks: nn.ModuleList, x: Tensor, with_cp: bool, keep: Sequence[int] = ()
) -> tuple[Tensor, list[Tensor]]:
    """Apply ``blocks`` one after another; also return the outputs of those listed in ``keep``.

    ``with_cp`` recomputes each block in the backward pass in place of storing its activations.
    """
    kept = {}
    for index, block in enumerate(blocks):
        x = run_block(block, with_cp, x)
        if index in keep:
            kept[index] = x
    return x, [kept[index] for index in keep]
