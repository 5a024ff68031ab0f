"""Model window attention of Swin-B's training step on GPUs: PyTorch's kernels, Triton's and Flex.

Attention with its bias, forward and backward, without projections, in all 24 blocks and by stage.
Operations of PyTorch's and of our kernels are recorded as in gpu_cost.py. "By size" is the default
of attend_in_groups. flex_attention is estimated by
formulas: it pads groups to multiples of 128 tokens, computes seven matrix products in its backward
pass, and adds the gradient of the bias to memory with one atomic operation per pair of tokens, head
and image, which is counted as reading and writing 4 bytes. Nothing is measured.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mim_plugins.layers import attend_in_groups
from mim_plugins.layers.kernel_choice import VARIABLE

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis_tools"))
from gpu_model import GPUS, Operation, simulated_gpu

GB = 1e9
CHANNELS, FLEX_TILE = 32, 128


class Stage(NamedTuple):
    """Attention of the blocks of a stage: (groups, tokens) per size."""

    name: str
    blocks: int
    heads: int
    groups: tuple[tuple[int, int], ...]
    has_mask: bool


PRETRAINING = (
    Stage("stage 1", 2, 4, ((16, 196),), True),
    Stage("stage 2", 2, 8, ((4, 196),), True),
    Stage("stage 3", 18, 16, ((1, 96), (1, 100)), False),
    Stage("stage 4", 2, 32, ((1, 24), (1, 25)), False),
)
FINE_TUNING = (
    Stage("stage 3 of fine-tuning", 18, 16, ((1, 196),), False),
    Stage("stage 4 of fine-tuning", 2, 32, ((1, 49),), False),
)
KERNELS = {"PyTorch's kernels": "sdpa", "Triton kernels": "triton"}


class Figures(NamedTuple):
    """Operations of the blocks, and bytes that they keep for the backward pass."""

    operations: list[Operation]
    kept: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256, help="images per step (default: 256)")
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    args = parser.parse_args()
    dtype = getattr(torch, args.dtype)
    columns = ["modeled", "kernels", "launches", "GB moved", "GB kept"]
    columns += [f"{name} ms" for name in GPUS]
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for stage in (*PRETRAINING, *FINE_TUNING):
        groups = " and ".join(f"{count} x {tokens}" for count, tokens in stage.groups)
        for name, kernels in KERNELS.items():
            print_row(f"{stage.name}: {groups}", name, recorded(args.batch, dtype, stage, kernels))
    for name, kernels in (KERNELS | {"by size": "auto"}).items():
        parts = [recorded(args.batch, dtype, stage, kernels) for stage in PRETRAINING]
        print_row("all blocks", name, sum_of(parts))
    estimates = [estimated(args.batch, dtype.itemsize, stage) for stage in PRETRAINING]
    print_row("all blocks", "flex_attention, estimated", sum_of(estimates))


def print_row(name: str, kernels: str, figures: Figures) -> None:
    operations, kept = figures
    cells = [name, kernels, sum(x.launches for x in operations)]
    cells += [f"{sum(x.bytes for x in operations) / GB:.1f}", f"{kept / GB:.1f}"]
    cells += [f"{1e3 * sum(map(gpu.seconds, operations)):.1f}" for gpu in GPUS.values()]
    print(f"| {' | '.join(map(str, cells))} |")


def sum_of(parts: list[Figures]) -> Figures:
    operations = [x for part in parts for x in part.operations]
    return Figures(operations, sum(part.kept for part in parts))


def recorded(batch: int, dtype: torch.dtype, stage: Stage, kernels: str) -> Figures:
    """Record the operations of the blocks of a stage; ``kernels`` is a value of the variable."""
    os.environ[VARIABLE] = kernels
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with simulated_gpu() as gpu:
        inputs = _inputs(batch, dtype, stage)
        gpu.trace.reset()
        with torch.autograd.graph.saved_tensors_hooks(save, lambda x: x):
            output = attend_in_groups(*inputs)
        output.backward(torch.empty_like(output))
    kept = stage.blocks * sum(x.untyped_storage().nbytes() for x in saved.values())
    return Figures(stage.blocks * gpu.trace.operations, kept)


def _inputs(batch: int, dtype: torch.dtype, stage: Stage) -> tuple[Any, ...]:
    tokens = sum(count * size for count, size in stage.groups)
    qkv = torch.empty(batch, tokens, 3, stage.heads, CHANNELS, dtype=dtype, device="meta")
    biases, mask = [], None
    for count, size in stage.groups:
        shape = 1, 1 if stage.has_mask else count, stage.heads, size, size
        biases.append(torch.empty(shape, device="meta").requires_grad_())
        if stage.has_mask:
            mask = torch.empty(1, count, size, size, device="meta")
    return qkv.requires_grad_(), biases, [count for count, _ in stage.groups], mask


def estimated(batch: int, itemsize: int, stage: Stage) -> Figures:
    """Estimate flex_attention by formulas."""
    operations, kept = [], 0
    for count, size in stage.groups:
        matrices = batch * count * stage.heads
        vectors = matrices * size * CHANNELS * itemsize  # bytes of queries, for example
        numbers = matrices * size * 4  # a float32 per query
        padded = matrices * (-(-size // FLEX_TILE) * FLEX_TILE) ** 2
        flops, moved = 4 * padded * CHANNELS, 4 * vectors + numbers
        atomics = 2 * 4 * matrices * size**2
        backward = 14 * padded * CHANNELS, 8 * vectors + 3 * numbers + atomics
        operations += stage.blocks * [
            _flex("flex_attention", 1, moved, flops),
            _flex("flex_attention_backward", 3, backward[1], backward[0]),
            _flex("gradients_joined", 1, 6 * vectors, 0),
        ]
        kept += stage.blocks * (4 * vectors + numbers)
    return Figures(operations, kept)


def _flex(name: str, launches: int, moved: int, flops: int) -> Operation:
    return Operation("", name, launches, moved, flops, False)


if __name__ == "__main__":
    main()
