"""Windows on a token grid: padding, cyclic shift, and which tokens may attend to each other.

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
    """How an ``grid`` = (H, W) of tokens is cut into windows of size ``window`` = (Wh, Ww).

    The grid is padded at its bottom and right to whole windows. A ``shift`` = (sh, sw) moves the
    windows' borders by that many tokens (Swin, arXiv 2103.14030, section 3.2).
    """

    grid: tuple[int, int]
    window: tuple[int, int]
    shift: tuple[int, int] = (0, 0)

    @classmethod
    def fit(cls, grid: tuple[int, int], window: int, shifted: bool = False) -> "WindowLayout":
        """Layout for ``grid``: no window is larger than the grid, and one window is not shifted."""
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
        """Grid size after padding to whole windows."""
        return (
            -(-self.grid[0] // self.window[0]) * self.window[0],
            -(-self.grid[1] // self.window[1]) * self.window[1],
        )

    def partition(self, x: Tensor) -> Tensor:
        """Cut tokens (B, H, W, C) into windows (B, nW, N, C)."""
        (height, width), (rows, cols), (wh, ww) = self.grid, self.padded, self.window
        if (rows, cols) != self.grid:
            x = F.pad(x, (0, 0, 0, cols - width, 0, rows - height))
        if self.shift != (0, 0):
            x = x.roll((-self.shift[0], -self.shift[1]), dims=(1, 2))
        batch, _, _, channels = x.shape
        x = x.reshape(batch, rows // wh, wh, cols // ww, ww, channels)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(batch, -1, wh * ww, channels)

    def merge(self, x: Tensor) -> Tensor:
        """Put windows (B, nW, N, C) back together as tokens (B, H, W, C)."""
        (height, width), (rows, cols), (wh, ww) = self.grid, self.padded, self.window
        batch, _, _, channels = x.shape
        x = x.reshape(batch, rows // wh, cols // ww, wh, ww, channels)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(batch, rows, cols, channels)
        if self.shift != (0, 0):
            x = x.roll(self.shift, dims=(1, 2))
        return x[:, :height, :width]

    def groups(self, mask: Tensor | None, device: torch.device | None = None) -> Tensor | None:
        """Number each token's attention group: (M, nW, N), or None when each window is one group.

        Tokens attend to each other only if their numbers are equal. A number tells the image that
        the token comes from (``mask`` (M, H, W), True = partner image), the side of the image's
        border it lies on where a cyclic shift joined two borders, and whether it is padding.
        """
        padding, shifting = self.padded != self.grid, self.shift != (0, 0)
        if mask is None and not padding and not shifting:
            return None
        numbers = torch.zeros((1, *self.grid), dtype=torch.long, device=device)
        if mask is not None:
            numbers = mask.to(dtype=torch.long)
        (height, width), (rows, cols) = self.grid, self.padded
        if padding:
            numbers = F.pad(numbers, (0, cols - width, 0, rows - height), value=-8)
        if shifting:
            wrapped_row = torch.arange(rows, device=device) < self.shift[0]
            wrapped_col = torch.arange(cols, device=device) < self.shift[1]
            numbers = numbers + 2 * wrapped_row[:, None] + 4 * wrapped_col[None, :]
        whole = WindowLayout(self.padded, self.window, self.shift)
        return whole.partition(numbers[..., None]).squeeze(-1)


def group_attention_mask(query_groups: Tensor, key_groups: Tensor) -> Tensor:
    """Attention permission (..., Nq, Nk) from group numbers (..., Nq) and (..., Nk)."""
    return query_groups[..., :, None] == key_groups[..., None, :]


def relative_position_index(
    window: tuple[int, int], table_window: tuple[int, int], device: torch.device
) -> Tensor:
    """Row of the relative position bias table for each pair of tokens of a window: (N, N).

    The table holds the offsets of ``table_window``; any ``window`` not larger than it uses those
    of the offsets that occur in it.
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
    """Bicubic resize of a square window's bias table (rows, heads) to that of ``window``.

    ``window`` is a side, or (Wh, Ww).

    Raises:
        ValueError: the rows of ``table`` are not those of a square window.
    """
    side = int(table.shape[0] ** 0.5)
    if side * side != table.shape[0] or side % 2 == 0:
        raise ValueError(
            f"relative_position_bias_table has {table.shape[0]} rows, which is not (2 * window - 1)"
            " squared for any square window; it cannot be resized"
        )
    size = [2 * length - 1 for length in _pair(window)]
    square = table.float().T.reshape(1, -1, side, side)
    square = F.interpolate(square, size=size, mode="bicubic", align_corners=False)
    return square.flatten(2)[0].T.to(table.dtype)
