"""Images of a batch in the form that a model's parameters require."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from mmengine.model.utils import stack_batch
from torch import Tensor, nn


def preprocess_for(
    module: nn.Module, preprocessor: Callable[[dict, bool], dict], batch: dict
) -> Tensor:
    """Normalize a batch's images (B, C, H, W), on the device and in the precision of ``module``.

    A data preprocessor of MMEngine that a plain PyTorch module contains does not change its device
    with that module, so it is moved first.

    Args:
        module: module that processes the images.
        preprocessor: data preprocessor, in evaluation.
        batch: collated samples.
    """
    device, dtype = place_of(module)
    if isinstance(preprocessor, nn.Module):
        preprocessor.to(device)
    images: Any = preprocessor(batch, False)["inputs"]
    if not isinstance(images, Tensor):
        images = stack_batch(images)
    return images.to(device, dtype)


def place_of(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return device and precision of the first parameter or buffer of floats."""
    tensors = chain(module.parameters(), module.buffers())
    first = next((each for each in tensors if each.is_floating_point()), torch.empty(0))
    return first.device, first.dtype
