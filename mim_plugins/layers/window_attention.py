"""Multi-head self-attention inside windows, with relative position bias."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .windows import relative_position_index, resize_relative_position_bias


class WindowAttention(nn.Module):
    """Window attention of Swin (arXiv 2103.14030, eq. 4), restricted to permitted pairs.

    Args:
        dim: channels C, a multiple of ``num_heads``.
        window: side of the window that the bias table is made for; smaller windows use its
            middle. A checkpoint's table for another window is resized when it is loaded.
        num_heads: attention heads.
        qkv_bias: add a bias to queries, keys and values.
        attn_drop: dropout rate of the attention weights.
        proj_drop: dropout rate of the output.
    """

    relative_position_index: Tensor

    def __init__(
        self,
        dim: int,
        window: int,
        num_heads: int,
        qkv_bias: bool = True,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.window = window
        self.num_heads = num_heads
        self.attn_drop = attn_drop
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros((2 * window - 1) ** 2, num_heads)
        )
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer(
            "relative_position_index",
            relative_position_index((window, window), (window, window), torch.device("cpu")),
            persistent=False,
        )
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.register_load_state_dict_pre_hook(_resize_bias_table)

    def relative_position_bias(self, window: tuple[int, int]) -> Tensor:
        """Bias (heads, N, N) of a window that is not larger than the table's."""
        index = self.relative_position_index
        if window != (self.window, self.window):
            index = relative_position_index(window, (self.window, self.window), index.device)
        return self.relative_position_bias_table[index].permute(2, 0, 1)

    def forward(self, x: Tensor, window: tuple[int, int], allowed: Tensor | None = None) -> Tensor:
        """Attend inside each window.

        Args:
            x: tokens (B, nW, N, C).
            window: (Wh, Ww) with Wh * Ww = N.
            allowed: (M, nW, N, N), True where a query (rows) may attend to a key (columns), with
                M = 1 or B; None permits all pairs.

        Returns:
            Tokens (B, nW, N, C).
        """
        batch, windows, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(batch, windows, tokens, 3, self.num_heads, -1)
        # windows and heads share an axis, so that one bias serves all images without a copy
        qkv = qkv.permute(3, 0, 1, 4, 2, 5).reshape(3, batch, -1, tokens, dim // self.num_heads)
        query, key, value = qkv.unbind(0)
        bias = self.relative_position_bias(window).to(query.dtype)
        if allowed is None:
            bias = bias.expand(1, windows, -1, -1, -1)
        else:
            bias = bias.masked_fill(~allowed[:, :, None], float("-inf"))  # (M, nW, heads, N, N)
        x = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.flatten(1, 2),
            dropout_p=self.attn_drop if self.training else 0.0,
        )  # (B, nW * heads, N, C / heads)
        x = x.reshape(batch, windows, self.num_heads, tokens, -1).transpose(2, 3)
        return self.proj_drop(self.proj(x.reshape(batch, windows, tokens, dim)))


def _resize_bias_table(module: WindowAttention, state_dict: dict, prefix: str, *_: object) -> None:
    key = prefix + "relative_position_bias_table"
    table = state_dict.get(key)
    own = module.relative_position_bias_table
    if table is not None and table.shape[0] != own.shape[0] and table.shape[1:] == own.shape[1:]:
        state_dict[key] = resize_relative_position_bias(table, module.window)
