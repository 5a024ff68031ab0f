"""Mixed precision of the longer comparison."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Run forward passes in bfloat16 by autocast; weights and updates stay in float32.

    MMEngine's ``AmpOptimWrapper`` needs an accelerator. Attention uses plain matrix products,
    because the backward pass of PyTorch's fused attention is slow on a CPU for few tokens.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enable autocast for the device of ``model``."""
        device = next(model.parameters()).device.type
        with (
            super().optim_context(model),
            torch.autocast(device, torch.bfloat16),
            sdpa_kernel(SDPBackend.MATH),
        ):
            yield
