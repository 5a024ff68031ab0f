"""Transformer blocks with attention in windows of the token grid, for large images (ViTDet).

Letters: B images, L = H * W tokens, P prefix tokens such as [CLS], nW windows per image, N tokens
per window, D channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transformer import checkpointed_call
from .windows import WindowLayout, group_attention_mask


def windowed_forward(
    blocks: nn.ModuleList,
    x: Tensor,
    grid: tuple[int, int],
    window: int,
    global_blocks: Sequence[int],
    with_cp: bool,
    out_indices: Sequence[int] = (),
) -> tuple[Tensor, list[Tensor]]:
    """Apply ``blocks``, all but ``global_blocks`` in non-overlapping windows.

    The grid is padded to full windows as in ViTDet (arXiv 2203.16527, section 3), but no token
    attends to padding. Each window has a copy of the prefix tokens. The copies are averaged before
    a global block and after the last block. A window that covers the grid is equivalent to a global
    block.

    Args:
        blocks: :class:`TransformerBlock` modules.
        x: prefix tokens, then the tokens of ``grid`` row by row: (B, P + L, D).
        grid: (H, W).
        window: side of the windows, in tokens.
        global_blocks: indices of the blocks that attend over all tokens.
        with_cp: recompute the activations of each block in the backward pass.
        out_indices: indices of the blocks whose outputs are also returned.

    Returns:
        Tokens (B, P + L, D), and the tokens after each block in ``out_indices``.
    """
    layout = WindowLayout.fit(grid, window)
    num_prefix = x.shape[1] - grid[0] * grid[1]
    attn_mask = _padding_mask(layout, num_prefix, x.device)
    intermediates, in_windows = {}, False
    for index, block in enumerate(blocks):
        windowed = index not in global_blocks
        if windowed != in_windows:
            x = (_partition if windowed else _merge)(x, layout, num_prefix)
            in_windows = windowed
        x = checkpointed_call(block, with_cp, x, attn_mask if windowed else None)
        if index in out_indices:
            intermediates[index] = _merge(x, layout, num_prefix) if in_windows else x
    if in_windows:
        x = _merge(x, layout, num_prefix)
    return x, [intermediates[index] for index in out_indices]


def _padding_mask(layout: WindowLayout, num_prefix: int, device: torch.device) -> Tensor | None:
    """Return an attention mask (1, nW, P + N, P + N), True = may attend; None without padding."""
    group_ids = layout.group_ids(None, device)
    if group_ids is None:
        return None
    group_ids = F.pad(group_ids, (num_prefix, 0))  # prefix tokens join the real tokens, group 0
    return group_attention_mask(group_ids, group_ids)


def _partition(x: Tensor, layout: WindowLayout, num_prefix: int) -> Tensor:
    """Split tokens (B, P + L, D) into windows (B, nW, P + N, D)."""
    windows = layout.partition(x[:, num_prefix:].unflatten(1, layout.grid))
    copies = x[:, None, :num_prefix].expand(-1, windows.shape[1], -1, -1)
    return torch.cat([copies, windows], dim=2)


def _merge(x: Tensor, layout: WindowLayout, num_prefix: int) -> Tensor:
    """Merge windows (B, nW, P + N, D) into tokens (B, P + L, D)."""
    tokens = layout.merge(x[:, :, num_prefix:]).flatten(1, 2)
    return torch.cat([x[:, :, :num_prefix].mean(dim=1), tokens], dim=1)
