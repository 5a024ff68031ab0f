"""Windows of a stage, with everything that its blocks derive from a mask of mixed images.

Letters: B images, M masks (1 when the batch shares one, else B), H x W token grid, nW windows per
image, N tokens per window, L = nW * N, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from .token_groups import TokenGroups
from .window_attention import group_bias_rows
from .windows import WindowLayout, additive_mask, group_attention_mask


class Grouping(Enum):
    """Windows in which mixed tokens are sorted into groups; elsewhere, attention has a mask."""

    RAGGED = "ragged"
    """All windows. The sizes of the groups depend on the mask."""
    WHOLE_GRID = "whole_grid"
    """Windows that cover the grid. The sizes of the groups follow from the number of cells."""
    NONE = "none"
    """No windows. All shapes are independent of the mask."""

    @classmethod
    def fastest(cls, device: torch.device) -> "Grouping":
        """Return the fastest grouping where shapes may change from batch to batch.

        On GPUs, each size of groups costs kernel launches.
        """
        return cls.RAGGED if device.type == "cpu" else cls.WHOLE_GRID


@dataclass(frozen=True)
class WindowPlan:
    """Windows and, for mixed images, groups of tokens or an attention mask."""

    layout: WindowLayout
    attn_mask: Tensor | None = None
    """Floats to add to the scores (M, nW, N, N): 0 where a token may attend, else -inf."""
    groups: TokenGroups | None = None
    """Order of the tokens; replaces ``attn_mask``."""
    bias_rows: Tensor | None = None
    """See :func:`group_bias_rows`."""

    def partition(self, x: Tensor) -> Tensor:
        """Split tokens (B, H, W, C) into windows (B, nW, N, C), or sort them by group (B, L, C)."""
        x = self.layout.partition(x)
        return x if self.groups is None else self.groups.sort(x)

    def merge(self, x: Tensor) -> Tensor:
        """Invert :meth:`partition`: return tokens (B, H, W, C)."""
        return self.layout.merge(x if self.groups is None else self.groups.restore(x))


@dataclass(frozen=True)
class WindowPlanner:
    """Function that makes the window plans of a stage.

    It contains sizes only, so a data preprocessor can hold it without holding the model.
    """

    window: int
    """Window side for which the bias tables of the stage are made, in tokens."""
    covers_grid: bool
    """Whether windows grow to the grid of the stage at any image size."""
    shifts: tuple[bool, ...]
    """Shift of the windows: False, or (False, True) if every second block shifts them."""

    def __call__(
        self, mask: Tensor, device: torch.device, grouping: Grouping
    ) -> tuple[WindowPlan, ...]:
        """Return a plan per entry of ``shifts``, on ``device``.

        ``mask`` (M, H, W) is on the CPU; True = from the partner image.
        """
        plans: dict[WindowLayout, WindowPlan] = {}
        layouts = self.layouts((mask.shape[1], mask.shape[2]))
        for layout in layouts:
            if layout not in plans:
                plans[layout] = self._plan_mixed(layout, mask, device, grouping)
        return tuple(plans[layout] for layout in layouts)

    def unmixed(self, grid: tuple[int, int], device: torch.device) -> tuple[WindowPlan, ...]:
        """Return a plan per entry of ``shifts`` for unmixed images with tokens (H, W)."""
        return tuple(
            WindowPlan(layout, _permissions(layout.group_ids(None), device))
            for layout in self.layouts(grid)
        )

    def layouts(self, grid: tuple[int, int]) -> Sequence[WindowLayout]:
        """Return the layout of a grid (H, W) per entry of ``shifts``."""
        window = max(grid) if self.covers_grid else self.window
        return [WindowLayout.fit(grid, window, shifted) for shifted in self.shifts]

    def _plan_mixed(
        self, layout: WindowLayout, mask: Tensor, device: torch.device, grouping: Grouping
    ) -> WindowPlan:
        group_ids: Any = layout.group_ids(mask)  # not None, because there is a mask
        ragged = grouping is Grouping.RAGGED
        groups = None
        if ragged or (grouping is Grouping.WHOLE_GRID and layout.window == layout.grid):
            groups = TokenGroups.from_group_ids(group_ids, device, ragged)
        if groups is None:
            return WindowPlan(layout, _permissions(group_ids, device))
        rows = group_bias_rows(groups, layout.window, self.window)
        return WindowPlan(layout, groups=groups, bias_rows=rows)


def _permissions(group_ids: Tensor | None, device: torch.device) -> Tensor | None:
    """Return the attention mask (M, nW, N, N) of group ids (M, nW, N) on the CPU."""
    if group_ids is None:
        return None
    group_ids = group_ids.to(device, non_blocking=True)
    return additive_mask(group_attention_mask(group_ids, group_ids))
