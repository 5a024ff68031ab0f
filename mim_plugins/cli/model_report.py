"""Parameters, tokens, cost and memory of a config's model, as lines of text."""

import argparse
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmengine.logging import MMLogger

from ..algorithms import MRMAE, MixMAE
from ..analysis import (
    StepCost,
    build_on_meta,
    count_parameters,
    encoder_stages,
    forward_cost,
    multiply_accumulates,
    step_cost,
    transfer_cost,
)
from ..apis import override_config, read_config
from ..errors import BUILD_ERRORS
from .reported_errors import user_errors

BYTES_PER_PARAMETER = 16  # weight, gradient and AdamW's two moments, in float32


def print_model_report(args: argparse.Namespace) -> None:
    """Report as ``mim-plugins info`` does; errors of users end the program."""
    MMLogger.get_instance("model_info", log_level="ERROR")
    warnings.filterwarnings("ignore", message=".*pretrained=None")  # only shapes matter
    with user_errors(also=BUILD_ERRORS):
        cfg = read_config(args.config)
        override_config(cfg, args.cfg_options)
        model = build_on_meta(cfg)
        size = chosen_size(model.backbone, args.img_size)
        print("\n".join(report(args.config, model, size)))


def chosen_size(backbone: Any, wanted: Sequence[int] | None) -> tuple[int, int]:
    """Return the image size (H, W) to count for."""
    sides = wanted or getattr(backbone, "img_size", None) or [224]
    sides = [sides] if isinstance(sides, int) else list(sides)
    return sides[0], sides[-1]


def report(name: str, model: Any, size: tuple[int, int]) -> list[str]:
    """Return the lines of the report."""
    backbone = model.backbone
    lines = [f"{name}: {type(model).__name__} with {type(backbone).__name__}", ""]
    lines += parameter_lines(model)
    lines += ["", f"images of {size[0]}x{size[1]} pixels"]
    lines += stage_lines(backbone, size)
    lines += ["", "per image; GMACs are multiply-accumulates, the papers' GFLOPs"]
    backbone.eval()
    lines.append(f"backbone, features    {forward_cost(backbone, size) / 1e9:8.1f} GMACs")
    backbone.train()
    if isinstance(model, (MixMAE, MRMAE)):
        lines += cost_lines("pre-training", step_cost(model, size))
        teachers = teacher_cost(model, size)
        if teachers:
            lines.append(f"  of which teachers   {teachers / 1e9:8.1f} GMACs, forward only")
    else:
        lines += cost_lines("training", transfer_cost(backbone, size))
    return lines


def parameter_lines(model: Any) -> list[str]:
    """Format the parameters of the model and its parts, and their memory in training."""
    total = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    parts = ", ".join(f"{n} {c / 1e6:.1f} M" for n, c in count_parameters(model).items())
    gib = (trained * BYTES_PER_PARAMETER + (total - trained) * 4) / 2**30
    return [
        f"parameters            {total / 1e6:8.1f} M: {parts}"
        + (f"; {trained / 1e6:.1f} M trained" if trained != total else ""),
        f"their training memory {gib:8.2f} GiB: weights, gradients and AdamW's moments in float32",
    ]


def stage_lines(backbone: Any, size: tuple[int, int]) -> list[str]:
    """Format a table of the encoder's stages."""
    stages = encoder_stages(backbone, size)
    if not stages:
        return []
    lines = ["  stage  stride      grid  tokens  channels  blocks"]
    for index, stage in enumerate(stages):
        grid = f"{stage.grid[0]}x{stage.grid[1]}"
        tokens = stage.grid[0] * stage.grid[1]
        lines.append(
            f"  {index:>5}  {stage.stride:>6}  {grid:>8}  {tokens:>6}  {stage.channels:>8}"
            f"  {stage.blocks:>6}"
        )
    return lines


def cost_lines(what: str, cost: StepCost) -> list[str]:
    """Format the cost of a training step."""
    return [
        f"{what + ', forward':<21} {cost.forward / 1e9:8.1f} GMACs",
        f"{'  and backward':<21} {cost.step / 1e9:8.1f} GMACs",
        f"{'  activations':<21} {cost.memory / 2**20:8.1f} MiB in float32, kept for the backward",
    ]


def teacher_cost(model: Any, size: tuple[int, int]) -> float:
    """Return the multiply-accumulates of all teachers for one image, 0 without teachers."""
    stride = model.backbone.encoder_stride
    grid = (size[0] // stride, size[1] // stride)
    pixels = torch.zeros(1, 3, *size, device="meta")
    return sum(
        multiply_accumulates(partial(mimic.teacher_features, pixels, grid))
        for mimic in model.mimics.values()
    )
