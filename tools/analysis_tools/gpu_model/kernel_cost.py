"""Work of the Triton kernels of attention, which PyTorch's shapes do not contain."""

from typing import Any, NamedTuple

from torch import Tensor

from mim_plugins.layers import AttentionBlocks

# matrix products of the kernels of the backward pass; a fused kernel needs five
_PRODUCTS = dict(query=3, key=4, bias=2)


class KernelWork(NamedTuple):
    """Work of an operator that is more than one launch on its inputs and outputs."""

    launches: int
    """All launches of the operator."""
    bytes: int
    """Additional bytes: packed biases, partial sums, and inputs that several kernels read."""
    products: float
    """Additional floating-point operations, as a share of those of a fused kernel."""


def kernel_work(name: str, args: tuple) -> KernelWork | None:
    """Return the work of the operator ``name`` of this package; None for any other operator."""
    if name == "biased_attention":
        return _work_of_blocks(False, *args)
    return _work_of_blocks(True, *args[1:]) if name == "biased_attention_backward" else None


def _work_of_blocks(
    is_backward: bool, qkv: Tensor, biases: Any, counts: Any, *others: Any
) -> KernelWork:
    images, _, _, heads, channels = qkv.shape
    launches = moved = 0
    pairs = extra = 0.0
    for bias, count in zip(biases, counts, strict=True):
        tokens, matrices = bias.shape[-1], count * heads
        blocks = AttentionBlocks(tokens, channels, qkv.dtype)
        names = blocks.gradient_kernels if is_backward else ("forward",)
        packs = 2 if "query" in names else 1
        launches += len(names) + packs
        packed = matrices * blocks.size**2
        moved += 2 * packs * packed * qkv.element_size()
        if is_backward:
            launches += 2  # the sum over chunks, and its part within the group
            moved += 2 * 4 * packed * blocks.chunks(names[-1], images, matrices)
            vectors = images * count * tokens * heads
            # queries, keys, values and gradients again, and two sums in float32
            moved += (len(names) - 1) * vectors * (4 * channels * qkv.element_size() + 2 * 4)
            products = 5 if blocks.is_whole else sum(_PRODUCTS[kernel] for kernel in names)
            extra += (products / 5 - 1) * count * tokens**2
        pairs += count * tokens**2
    return KernelWork(launches, moved, extra / max(pairs, 1))
