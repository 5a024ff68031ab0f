"""Multi-head self-attention inside windows, with relative position bias, on the fastest kernel.

Letters: B images, M masks (1 when the batch shares one, else B), L tokens of an image, K groups of
n tokens, H heads, d channels per head, C channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .attention_op import biased_attention
from .kernel_choice import INTERPRETED, uses_kernels
from .token_groups import TokenGroups, attend_with_pytorch
from .windows import additive_mask, relative_position_index, resize_relative_position_bias


class WindowAttention(nn.Module):
    """Window attention of Swin (arXiv 2103.14030, eq. 4), restricted to permitted pairs.

    The bias table is made for one window size. Smaller windows use the middle of the table; for
    larger ones, the table is resized at run time. The table of a checkpoint is resized on loading.

    Args:
        dim: channels C, a multiple of ``num_heads``.
        window: side of the window that the bias table is made for, in tokens.
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
            relative_position_index(
                (window, window), (window, window), self.relative_position_bias_table.device
            ),
            persistent=False,
        )
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.register_load_state_dict_pre_hook(_resize_bias_table)

    def relative_position_bias(
        self, window: tuple[int, int], groups: TokenGroups | None = None, rows: Tensor | None = None
    ) -> list[Tensor]:
        """Return the bias of the pairs of tokens of a window (Wh, Ww).

        With ``groups`` and their :func:`group_bias_rows`, return one bias (M, K, heads, n, n) for
        each block of K groups of n tokens; else one for all pairs, (1, 1, heads, N, N).

        A bias is contiguous, because the fused kernels of GPUs require it.
        """
        own = (self.window, self.window)
        table: Tensor = self.relative_position_bias_table
        covered = _covered(window, self.window)
        if covered != own:
            table = resize_relative_position_bias(table, covered)
        if groups is None or rows is None:
            index = self.relative_position_index
            if window != own:
                index = relative_position_index(window, covered, index.device)
            return [table[index].permute(2, 0, 1).contiguous()[None, None]]
        # one lookup for all blocks, because its gradient consists of many kernels
        parts = table[rows].split([count * size**2 for count, size in groups.blocks], dim=1)
        return [
            part.unflatten(1, (count, size, size)).permute(0, 1, 4, 2, 3).contiguous()
            for part, (count, size) in zip(parts, groups.blocks, strict=True)
        ]

    def forward(
        self,
        x: Tensor,
        window: tuple[int, int],
        attn_mask: Tensor | None = None,
        groups: TokenGroups | None = None,
        bias_rows: Tensor | None = None,
    ) -> Tensor:
        """Attend inside each window.

        Args:
            x: tokens (B, nW, N, C), or (B, nW * N, C) sorted by ``groups`` if these are given.
            window: (Wh, Ww) with Wh * Ww = N.
            attn_mask: (M, nW, N, N), True where a query (rows) may attend to a key (columns), or
                floats to add to their scores, with M = 1 or B. None permits all pairs.
            groups: order of the tokens in groups; each group attends to itself only. Replaces
                ``attn_mask``.
            bias_rows: :func:`group_bias_rows` of ``groups``, which blocks of equal windows share;
                computed if None.

        Returns:
            Tokens of the same shape as ``x``.
        """
        blocks: Sequence[tuple[int, int]] = [(x.shape[1], x.shape[2])]
        if groups is not None:
            blocks, attn_mask = groups.blocks, None
            if bias_rows is None:
                bias_rows = group_bias_rows(groups, window, self.window)
        elif attn_mask is not None and attn_mask.dtype == torch.bool:
            attn_mask = additive_mask(attn_mask)
        biases = self.relative_position_bias(window, groups, bias_rows)
        qkv = self.qkv(x.flatten(1, -2)).unflatten(-1, (3, self.num_heads, -1))
        dropout = self.attn_drop if self.training else 0.0
        attended = attend_in_groups(qkv, biases, [count for count, _ in blocks], attn_mask, dropout)
        return self.proj_drop(self.proj(attended.flatten(2).view_as(x)))


def attend_in_groups(
    qkv: Tensor,
    biases: Sequence[Tensor],
    counts: Sequence[int],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute softmax(query @ key.T / sqrt(d) + bias) @ value in each group of tokens.

    On GPUs, Triton kernels sum the gradient of the bias over the images, if a cost model expects
    them to be faster for the sizes of the groups. PyTorch's attention, which is used elsewhere,
    stores one gradient per image. Under autocast, ``qkv`` is cast as for PyTorch's attention, and
    the bias is not.

    Args:
        qkv: queries, keys and values of tokens sorted by group (B, L, 3, H, d).
        biases: floats added to the scores of each block of groups of equal size, (M, K, H, n, n),
            or (M, 1, H, n, n) for all its groups.
        counts: number of groups K of each block.
        attn_mask: floats added to the scores of all heads of a single block (M, K, n, n).
        dropout_p: dropout rate of the attention weights.

    Returns:
        Attended values (B, L, H, d).
    """
    device = qkv.device.type
    if device == "cpu" and not INTERPRETED:
        return attend_with_pytorch(qkv, biases, counts, attn_mask, dropout_p)
    if device == "cuda" and torch.is_autocast_enabled(device):
        qkv = qkv.to(torch.get_autocast_dtype(device))
    if dropout_p > 0 or not uses_kernels(qkv, biases, attn_mask):
        return attend_with_pytorch(qkv, biases, counts, attn_mask, dropout_p)
    mask = None if attn_mask is None else attn_mask.expand(-1, counts[0], -1, -1).flatten(0, 1)
    return biased_attention(qkv, [bias.flatten(0, 1) for bias in biases], counts, mask)[0]


def group_bias_rows(groups: TokenGroups, window: tuple[int, int], table_window: int) -> Tensor:
    """Return the row of the bias table for each pair of tokens of a group, block by block (M, P).

    A block of K groups of n tokens has K * n**2 pairs. The table is that of a
    :class:`WindowAttention` made for the side ``table_window``, resized to ``window`` (Wh, Ww) if
    this is larger.
    """
    index = relative_position_index(window, _covered(window, table_window), groups.order.device)
    pairs = [index[where[..., :, None], where[..., None, :]] for where in groups.positions()]
    return torch.cat([part.flatten(1) for part in pairs], dim=1)


def _covered(window: tuple[int, int], table_window: int) -> tuple[int, int]:
    """Return the window that a table covers at run time: its own, enlarged to ``window``."""
    return (max(window[0], table_window), max(window[1], table_window))


def _resize_bias_table(module: WindowAttention, state_dict: dict, prefix: str, *_: object) -> None:
    key = prefix + "relative_position_bias_table"
    table = state_dict.get(key)
    own = module.relative_position_bias_table
    if table is not None and table.shape[0] != own.shape[0] and table.shape[1:] == own.shape[1:]:
        state_dict[key] = resize_relative_position_bias(table, module.window)
