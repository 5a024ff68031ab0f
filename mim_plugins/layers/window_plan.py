"""Windows of a stage, with everything that its blocks derive from a mask of mixed images.

Letters: B images, M masks (1 when the batch shares one, else B), H x W token grid, nW windows per
image, N tokens per window, L = nW * N, C channels.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

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


class WindowKind(NamedTuple):
    """Windows of one or more blocks of a stage."""

    window: int
    """Window side for which the bias table of the block is made, in tokens."""
    covers_grid: bool = False
    """True if the window grows to the grid of the stage at any image size."""
    shifted: bool = False
    """True if the windows are shifted by half a window."""

    def layout(self, grid: tuple[int, int]) -> WindowLayout:
        """Return the layout of a grid (H, W)."""
        return WindowLayout.fit(grid, max(grid) if self.covers_grid else self.window, self.shifted)


@dataclass(frozen=True)
class WindowPlanner:
    """Function that makes the window plans of a stage.

    It contains sizes only, so a data preprocessor can hold it without holding the model.
    """

    kinds: tuple[WindowKind, ...]
    """Windows that occur in the stage."""

    def __call__(
        self, mask: Tensor, device: torch.device, grouping: Grouping
    ) -> tuple[WindowPlan, ...]:
        """Return a plan per entry of ``kinds``, on ``device``.

        ``mask`` (M, H, W) is on the CPU; True = from the partner image.
        """
        grid = (mask.shape[1], mask.shape[2])
        plans: dict[tuple[WindowLayout, int], WindowPlan] = {}
        for kind in self.kinds:
            key = kind.layout(grid), kind.window
            if key not in plans:
                plans[key] = _plan_mixed(*key, mask, device, grouping)
        return tuple(plans[kind.layout(grid), kind.window] for kind in self.kinds)

    def unmixed(self, grid: tuple[int, int], device: torch.device) -> tuple[WindowPlan, ...]:
        """Return a plan per entry of ``kinds`` for unmixed images with tokens (H, W)."""
        layouts = [kind.layout(grid) for kind in self.kinds]
        return tuple(
            WindowPlan(layout, _permissions(layout.group_ids(None), device)) for layout in layouts
        )


def _plan_mixed(
    layout: WindowLayout, window: int, mask: Tensor, device: torch.device, grouping: Grouping
) -> WindowPlan:
    group_ids: Any = layout.group_ids(mask)  # not None, because there is a mask
    ragged = grouping is Grouping.RAGGED
    groups = None
    if ragged or (grouping is Grouping.WHOLE_GRID and layout.window == layout.grid):
        groups = TokenGroups.from_group_ids(group_ids, device, ragged)
    if groups is None:
        return WindowPlan(layout, _permissions(group_ids, device))
    return WindowPlan(
        layout, groups=groups, bias_rows=group_bias_rows(groups, layout.window, window)
    )


def _permissions(group_ids: Tensor | None, device: torch.device) -> Tensor | None:
    """Return the attention mask (M, nW, N, N) of group ids (M, nW, N) on the CPU."""
    if group_ids is None:
        return None
    group_ids = group_ids.to(device, non_blocking=True)
    return additive_mask(group_attention_mask(group_ids, group_ids))
