"""Transformer blocks that attend in windows of the token grid, for large inputs (ViTDet).

Letters: B images, L = H * W tokens, P prefix tokens such as [CLS], nW windows per image, N tokens
per window, D channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .transformer import run_block
from .windows import WindowLayout, group_attention_mask


def run_windowed_blocks(
    blocks: nn.ModuleList,
    x: Tensor,
    grid: tuple[int, int],
    window: int,
    global_blocks: Sequence[int],
    with_cp: bool,
    keep: Sequence[int] = (),
) -> tuple[Tensor, list[Tensor]]:
    """Apply ``blocks``, all but ``global_blocks`` in windows that do not overlap.

    Windows as in ViTDet (arXiv 2203.16527, section 3), which pads the grid to whole windows; here
    no token attends to padding. Each window has a copy of the prefix tokens; where windows end, at
    a global block or after the last one, the copies are averaged. A window that covers the grid
    gives what a global block gives.

    Args:
        blocks: :class:`TransformerBlock` modules.
        x: prefix tokens, then the tokens of ``grid`` row by row: (B, P + L, D).
        grid: (H, W).
        window: side of the windows, in tokens.
        global_blocks: indices of the blocks that attend over all tokens.
        with_cp: recompute each block in the backward pass.
        keep: blocks whose outputs are returned as well.

    Returns:
        Tokens (B, P + L, D), and those after each block of ``keep``.
    """
    layout = WindowLayout.fit(grid, window)
    prefix = x.shape[1] - grid[0] * grid[1]
    allowed = _permission(layout, prefix, x.device)
    kept, cut = {}, False
    for index, block in enumerate(blocks):
        windowed = index not in global_blocks
        if windowed != cut:
            x = _cut(x, layout, prefix) if windowed else _join(x, layout, prefix)
            cut = windowed
        x = run_block(block, with_cp, x, allowed if windowed else None)
        if index in keep:
            kept[index] = _join(x, layout, prefix) if cut else x
    if cut:
        x = _join(x, layout, prefix)
    return x, [kept[index] for index in keep]


def _permission(layout: WindowLayout, prefix: int, device: torch.device) -> Tensor | None:
    """Which tokens of a window may attend to each other: (1, nW, P + N, P + N), None for all."""
    groups = layout.groups(None, device)
    if groups is None:
        return None
    groups = F.pad(groups, (prefix, 0))  # prefix tokens are in the group of real tokens, 0
    return group_attention_mask(groups, groups)


def _cut(x: Tensor, layout: WindowLayout, prefix: int) -> Tensor:
    """Tokens (B, P + L, D) to windows (B, nW, P + N, D)."""
    windows = layout.partition(x[:, prefix:].unflatten(1, layout.grid))
    copies = x[:, None, :prefix].expand(-1, windows.shape[1], -1, -1)
    return torch.cat([copies, windows], dim=2)


def _join(x: Tensor, layout: WindowLayout, prefix: int) -> Tensor:
    """Windows (B, nW, P + N, D) to tokens (B, P + L, D)."""
    tokens = layout.merge(x[:, :, prefix:]).flatten(1, 2)
    return torch.cat([x[:, :, :prefix].mean(dim=1), tokens], dim=1)
