"""Self-attention over all tokens of an image or of a window."""

import torch.nn.functional as F
from torch import Tensor, nn


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
