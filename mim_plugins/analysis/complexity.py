"""Size and cost of a model, computed from shapes before training."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..algorithms.dependent_parts import image_channels
from ..backbones import BaseBackbone, StageInfo
from .activation_memory import activation_bytes


class StepCost(NamedTuple):
    """Cost per image of a training step without the optimizer, see :func:`multiply_accumulates`."""

    forward: float
    """Multiply-accumulates of the forward pass."""
    step: float
    """Multiply-accumulates of forward and backward pass."""
    memory: float
    """Bytes of the activations saved for the backward pass, in float32."""


def count_parameters(module: nn.Module) -> dict[str, int]:
    """Count the parameters of each direct child, by name; children without any are omitted."""
    counts = {
        name: sum(parameter.numel() for parameter in child.parameters())
        for name, child in module.named_children()
    }
    direct = sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return {name: count for name, count in (counts | {"(itself)": direct}).items() if count}


def multiply_accumulates(run: Callable[[], Any]) -> float:
    """Count the multiply-accumulates of the matrix products and convolutions of ``run()``.

    Papers call this number FLOPs. Attention counts as dense products, including masked pairs;
    element-wise operations (norms, softmax, GELU) do not count.
    """
    # the counter does not support every fused attention kernel
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 2


def forward_cost(backbone: nn.Module, img_size: tuple[int, int]) -> float:
    """Count the multiply-accumulates of a backbone's features for an image of size (H, W)."""
    image = _images(1, backbone, img_size)
    with torch.no_grad():
        return multiply_accumulates(lambda: backbone(image))


def transfer_cost(backbone: nn.Module, img_size: tuple[int, int]) -> StepCost:
    """Compute the cost per image of fine-tuning a backbone at ``img_size`` (H, W)."""

    def loss(batch: int) -> Tensor:
        outputs = backbone(_images(batch, backbone, img_size))
        return torch.stack([output.sum() for output in outputs]).sum()

    return _cost(loss, backbone)


def step_cost(model: Any, img_size: tuple[int, int]) -> StepCost:
    """Compute the cost per image of a pre-training step, including frozen teachers."""

    def loss(batch: int) -> Tensor:
        inputs = _images(batch, model.backbone, img_size)
        mixing = getattr(model.data_preprocessor, "batch_transform", None)
        return torch.stack(list(model.loss(mixing(inputs) if mixing else inputs).values())).sum()

    return _cost(loss, model)


def _images(batch: int, backbone: nn.Module, img_size: tuple[int, int]) -> Tensor:
    return torch.zeros(batch, image_channels(backbone), *img_size, device=_device(backbone))


def _cost(loss: Callable[[int], Tensor], model: nn.Module) -> StepCost:
    images = 2  # mixing needs at least two
    forward = multiply_accumulates(lambda: loss(images)) / images
    step = multiply_accumulates(lambda: loss(images).backward()) / images
    model.zero_grad()
    # the difference of two batches does not include memory that all images share
    memory = [
        activation_bytes(lambda n=n: loss(n), model.parameters())  # type: ignore[misc]
        for n in (images, 2 * images)
    ]
    return StepCost(forward, step, (memory[1] - memory[0]) / images)


def encoder_stages(backbone: Any, img_size: tuple[int, int]) -> list[StageInfo]:
    """Return the resolutions of an encoder for images of (H, W); empty for other backbones."""
    return backbone.stages_info(img_size) if isinstance(backbone, BaseBackbone) else []


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
