"""Preparation of what an encoder of mixed images derives from their mask."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..layers import Grouping
from ..masking import upsample_mask


@dataclass(frozen=True)
class MixedPlanner:
    """Function of a mask that makes one plan per stage of a hierarchical encoder.

    It contains sizes only, so a data preprocessor can hold it without holding the model.
    """

    stages: tuple[Callable[[Tensor, torch.device, Grouping], Any] | None, ...]
    """``planner`` of each stage; None if the stage takes a mask instead of a plan."""

    @torch.compiler.disable  # control flow depends on the values of the mask
    def __call__(
        self, mask: Tensor, device: torch.device, grouping: Grouping | None = None
    ) -> tuple[Any, ...]:
        """Return the plan of each stage, with tensors on ``device``.

        Args:
            mask: bool (M, h, w), True = from the partner; M = 1 or B. If it is on a GPU, the CPU
                waits for it.
            device: device of the encoder.
            grouping: windows whose tokens are sorted; by default the fastest on ``device``.
        """
        grouping = grouping or Grouping.fastest(device)
        mask = mask.cpu()
        last = len(self.stages) - 1
        masks = [upsample_mask(mask, 2 ** (last - stage)) for stage in range(len(self.stages))]
        return tuple(
            mask.to(device, non_blocking=True)
            if planner is None
            else planner(mask, device, grouping)
            for planner, mask in zip(self.stages, masks, strict=True)
        )
