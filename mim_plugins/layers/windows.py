"""Windows on a token grid: padding, cyclic shift and attention groups.

Letters: B images, H x W token grid, C channels, nW windows per image, N tokens per window,
M masks (1 when the batch shares one, else B).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.modules.utils import _pair


@dataclass(frozen=True)
class WindowLayout:
    """Partition of a token grid into windows.

    The grid is padded at the bottom and at the right to full windows. The cyclic shift is that of
    Swin (arXiv 2103.14030, section 3.2).
    """

    grid: tuple[int, int]
    """Tokens (H, W)."""
    window: tuple[int, int]
    """Window size (Wh, Ww), in tokens."""
    shift: tuple[int, int] = (0, 0)
    """Cyclic shift (rows, columns) of the grid before partitioning, in tokens."""

    @classmethod
    def fit(cls, grid: tuple[int, int], window: int, shifted: bool = False) -> "WindowLayout":
        """Return a layout for ``grid`` with windows of at most the side ``window``.

        Windows are no larger than the grid. An axis with a single window is not shifted.
        """
        size = (min(window, grid[0]), min(window, grid[1]))
        shift = (0, 0)
        if shifted:
            shift = (
                window // 2 if grid[0] > window else 0,
                window // 2 if grid[1] > window else 0,
            )
        return cls(grid, size, shift)

    @property
    def padded(self) -> tuple[int, int]:
        """Grid size after padding to full windows."""
        return (
            -(-self.grid[0] // self.window[0]) * self.window[0],
            -(-self.grid[1] // self.window[1]) * self.window[1],
        )

    def partition(self, x: Tensor) -> Tensor:
        """Split tokens (B, H, W, C) into windows (B, nW, N, C)."""
        (height, width), (rows, cols), (wh, ww) = self.grid, self.padded, self.window
        if (rows, cols) != self.grid:
            x = F.pad(x, (0, 0, 0, cols - width, 0, rows - height))
        if self.shift != (0, 0):
            x = x.roll((-self.shift[0], -self.shift[1]), dims=(1, 2))
        batch, _, _, channels = x.shape
        x = x.reshape(batch, rows // wh, wh, cols // ww, ww, channels)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, -1, wh * ww, channels)

    def merge(self, x: Tensor) -> Tensor:
        """Merge windows (B, nW, N, C) into tokens (B, H, W, C)."""
        (height, width), (rows, cols), (wh, ww) = self.grid, self.padded, self.window
        batch, _, _, channels = x.shape
        x = x.reshape(batch, rows // wh, cols // ww, wh, ww, channels)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(batch, rows, cols, channels)
        if self.shift != (0, 0):
            x = x.roll(self.shift, dims=(1, 2))
        return x[:, :height, :width]

    def group_ids(self, mask: Tensor | None, device: torch.device | None = None) -> Tensor | None:
        """Return the attention group of each token (M, nW, N); None if each window is one group.

        Tokens attend to each other only if their ids are equal. An id encodes the image of the
        token (``mask`` (M, H, W), True = partner image), its side of the image border where the
        cyclic shift joins opposite borders, and whether it is padding.
        """
        padding, shifting = self.padded != self.grid, self.shift != (0, 0)
        if mask is None and not padding and not shifting:
            return None
        group_ids = torch.zeros((1, *self.grid), dtype=torch.long, device=device)
        if mask is not None:
            group_ids = mask.to(dtype=torch.long)
        (height, width), (rows, cols) = self.grid, self.padded
        if padding:
            # negative also with the 2 + 4 of a shift, so padding is in no group with tokens
            group_ids = F.pad(group_ids, (0, cols - width, 0, rows - height), value=-8)
        if shifting:
            wrapped_row = torch.arange(rows, device=device) < self.shift[0]
            wrapped_col = torch.arange(cols, device=device) < self.shift[1]
            group_ids = group_ids + 2 * wrapped_row[:, None] + 4 * wrapped_col[None, :]
        padded = WindowLayout(self.padded, self.window, self.shift)
        return padded.partition(group_ids[..., None]).squeeze(-1)


def group_attention_mask(query_groups: Tensor, key_groups: Tensor) -> Tensor:
    """Return (..., Nq, Nk), True where the group ids (..., Nq) and (..., Nk) are equal."""
    return query_groups[..., :, None] == key_groups[..., None, :]


def additive_mask(permitted: Tensor) -> Tensor:
    """Return floats to add to attention scores: 0 where ``permitted`` is True, else -inf."""
    zeros = torch.zeros(permitted.shape, device=permitted.device)
    return zeros.masked_fill_(~permitted, float("-inf"))


def relative_position_index(
    window: tuple[int, int], table_window: tuple[int, int], device: torch.device
) -> Tensor:
    """Return the row of the relative position bias table for each pair of tokens: (N, N).

    The table covers the offsets of ``table_window``. A smaller ``window`` uses a subset of them.
    """
    rows = torch.arange(window[0], device=device)
    cols = torch.arange(window[1], device=device)
    row_offset = rows[:, None] - rows[None, :] + table_window[0] - 1  # (Wh, Wh)
    col_offset = cols[:, None] - cols[None, :] + table_window[1] - 1  # (Ww, Ww)
    index = (
        row_offset[:, None, :, None] * (2 * table_window[1] - 1) + col_offset[None, :, None, :]
    )  # (Wh, Ww, Wh, Ww)
    return index.reshape(window[0] * window[1], window[0] * window[1])


def resize_relative_position_bias(table: Tensor, window: int | tuple[int, int]) -> Tensor:
    """Resize the bias table (rows, heads) of a square window bicubically to another ``window``.

    ``window`` is a side or (Wh, Ww), in tokens.

    Raises:
        ValueError: ``table`` does not have the number of rows of a square window.
    """
    side = int(table.shape[0] ** 0.5)
    if side * side != table.shape[0] or side % 2 == 0:
        raise ValueError(
            f"relative_position_bias_table has {table.shape[0]} rows; to be resized, it must have"
            " (2 * window - 1)**2 rows, as for a square window"
        )
    size = [2 * length - 1 for length in _pair(window)]
    square = table.float().T.reshape(1, -1, side, side)
    square = F.interpolate(square, size=size, mode="bicubic", align_corners=False)
    return square.flatten(2)[0].T.to(table.dtype)
