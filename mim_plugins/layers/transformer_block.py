"""The plain Transformer block of ViT."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torchvision.ops import StochasticDepth

from .feed_forward import feed_forward
from .self_attention import SelfAttention


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
        self.mlp = feed_forward(dim, int(dim * mlp_ratio))
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


def run_blocks(
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
