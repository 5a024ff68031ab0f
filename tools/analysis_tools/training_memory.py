"""Tables of memory_table.py: state, and batches that fit GPUs."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from gpu_model import SimulatedGpu, move_to_gpu, simulated_gpu
from mmengine.config import Config
from torch import nn

from mim_plugins.algorithms.compilation import compilable_blocks
from mim_plugins.analysis import saved_for_backward
from mim_plugins.registry import MODELS

CONFIG = Path(__file__).parents[2] / "configs/mixmae/swin_b_600e.py"
GB = 1e9
RESERVE = 0.1  # share of the GPU for CUDA, cuBLAS, fragmentation and temporary tensors
ADAMW_STATES = 2


class Activations(NamedTuple):
    """Bytes that the forward pass saves for the backward pass."""

    per_image: float
    fixed: float
    """Independent of the batch size: low-precision copies of weights, bias tables and masks."""
    block: float
    """Per image, of the largest block: recomputed by gradient checkpointing."""


def build(arch: str, with_cp: bool) -> nn.Module:
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.update(arch=arch, with_cp=with_cp)
    with torch.device("meta"):
        return MODELS.build(cfg.model).train()


def total(saved: dict[int, torch.UntypedStorage]) -> int:
    return sum(storage.nbytes() for storage in saved.values())


def saved_bytes(model: Any, batch: int, dtype: torch.dtype) -> tuple[int, int]:
    """Return the bytes saved for the backward pass, in total and by the largest block."""
    with simulated_gpu() as gpu:
        move_to_gpu(model)
        return _saved_bytes(model, batch, dtype, gpu)


def _saved_bytes(model: Any, batch: int, dtype: torch.dtype, gpu: SimulatedGpu) -> tuple[int, int]:
    largest, before, handles = 0, 0, []
    with saved_for_backward([*model.parameters(), *model.buffers()]) as saved:

        def enter(*_: object) -> None:
            nonlocal before
            before = total(saved)

        def leave(*_: object) -> None:
            nonlocal largest
            largest = max(largest, total(saved) - before)

        for module in model.backbone.modules():
            if type(module).__name__.endswith("Block"):
                handles += [
                    module.register_forward_pre_hook(enter),
                    module.register_forward_hook(leave),
                ]
        torch.manual_seed(0)  # the mask determines what attention saves, so all batches share one
        with gpu.autocast.region(dtype, enabled=dtype != torch.float32):
            data = model.data_preprocessor(dict(inputs=torch.zeros(batch, 3, 224, 224)), True)
            loss = model.loss(data["inputs"])
        del loss
    for handle in handles:
        handle.remove()
    return total(saved), largest


def activations(arch: str, with_cp: bool, dtype: torch.dtype) -> Activations:
    """Separate the bytes per image from the fixed bytes, by batches of 2 and of 4 images."""
    model = build(arch, with_cp)
    (two, block2), (four, block4) = (saved_bytes(model, batch, dtype) for batch in (2, 4))
    return Activations((four - two) / 2, 2 * two - four, (block4 - block2) / 2)


def parameters(arch: str) -> int:
    return sum(p.numel() for p in build(arch, False).parameters() if p.requires_grad)


def state_rows(counts: dict[str, int], gpus: int) -> list[str]:
    rows = [
        "| model | parameters | weights | gradients | AdamW state |"
        f" AdamW state, ZeRO on {gpus} GPUs | sum, ZeRO | sum, FSDP2 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arch, count in counts.items():
        size = 4 * count / GB
        rows.append(
            f"| Swin-{arch[0].upper()} | {count / 1e6:.0f} M | {size:.2f} GB | {size:.2f} GB |"
            f" {ADAMW_STATES * size:.2f} GB | {ADAMW_STATES * size / gpus:.2f} GB |"
            f" {(2 + ADAMW_STATES / gpus) * size:.2f} GB |"
            f" {sharded_state(arch, gpus) / GB:.2f} GB |"
        )
    return rows


def sharded_state(arch: str, gpus: int) -> float:
    """Return the bytes of a GPU's shards of weights, gradients and AdamW state with FSDP2.

    They include the complete weights of two blocks (one is used while the next is gathered), the
    gradients of one, and the complete weights and gradients outside blocks.
    """
    model = build(arch, False)
    blocks = [sum(p.numel() for p in block.parameters()) for block in compilable_blocks(model)]
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    complete = 3 * max(blocks) + 2 * (count - sum(blocks))
    return 4 * (count * (2 + ADAMW_STATES) / gpus + complete)


def images_that_fit(memory: float, count: int, saved: Activations, cp: bool, shards: int) -> int:
    """Return the largest even batch that fits a GPU with ``memory`` bytes."""
    state = 4 * count * (2 + ADAMW_STATES / shards)  # weights, gradients, AdamW
    free = memory * (1 - RESERVE) - state - saved.fixed
    per_image = saved.per_image + (saved.block if cp else 0)
    return max(0, int(free / per_image) // 2 * 2)


def batch_rows(counts: dict[str, int], gpus: int) -> list[str]:
    sizes = (40, 80, 141)
    rows = [
        "| model | precision | checkpointing | per image | "
        + " | ".join(f"images in {size} GB" for size in sizes)
        + " | measured |",
        "| --- " * (5 + len(sizes)) + "|",
    ]
    for arch, count in counts.items():
        for dtype in (torch.float32, torch.bfloat16):
            plain = activations(arch, False, dtype)
            for cp in (False, True):
                saved = activations(arch, True, dtype)._replace(block=plain.block) if cp else plain
                fits = " | ".join(
                    f"{images_that_fit(size * GB, count, saved, cp, 1)}"
                    f" ({images_that_fit(size * GB, count, saved, cp, gpus)})"
                    for size in sizes
                )
                rows.append(
                    f"| Swin-{arch[0].upper()} | {str(dtype)[6:]} | {'yes' if cp else 'no'} |"
                    f" {saved.per_image / 1e6:.0f} MB | {fits} | |"
                )
    return rows


def memory_rows(archs: list[str], gpus: int) -> list[str]:
    """Return the lines of both tables."""
    counts = {arch: parameters(arch) for arch in archs}
    return [*state_rows(counts, gpus), "", *batch_rows(counts, gpus)]
