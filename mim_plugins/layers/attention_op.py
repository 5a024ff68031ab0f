"""PyTorch operator of attention with a learned bias in groups of tokens, on Triton kernels.

Without Triton, the operator has shapes only. So tensors without values and ``torch.compile`` see
one operation per direction, and the kernels are imported when the operator first computes.

Letters: B images, L tokens of an image, K groups of n tokens, H heads, d channels per head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .attention_blocks import AttentionBlocks

_SCHEMA = "(Tensor qkv, Tensor[] biases, int[] counts, Tensor? mask) -> (Tensor, Tensor)"
_BACKWARD_SCHEMA = (
    "(Tensor grad, Tensor qkv, Tensor[] biases, int[] counts, Tensor? mask, Tensor out,"
    " Tensor lse) -> (Tensor, Tensor[])"
)


@dataclass(frozen=True)
class _Groups:
    """Groups of one size."""

    qkv: Tensor
    bias: Tensor
    mask: Tensor | None
    count: int
    offset: int

    @property
    def is_empty(self) -> bool:
        return 0 in (len(self.qkv), self.count, self.bias.shape[-1])

    @property
    def blocks(self) -> AttentionBlocks:
        return AttentionBlocks(self.bias.shape[-1], self.qkv.shape[-1], self.qkv.dtype)

    def pack(self, is_transposed: bool = False) -> Tensor:
        """Return the sum of bias and mask in whole blocks (K, H, N, N)."""
        from .attention_kernel import pack_kernel

        (heads, tokens), size = self.bias.shape[1:3], self.blocks.size
        side = min(size, 64)
        pairs = self.qkv.new_empty(self.count, heads, size, size)
        pack_kernel[self.count * heads, size // side, size // side](
            self.bias.contiguous(), self.bias if self.mask is None else self.mask.contiguous(),
            pairs, tokens, heads, heads * tokens**2 if len(self.bias) > 1 else 0,
            has_mask=self.mask is not None, is_transposed=is_transposed, rows=side, columns=side,
            size=size,
        )  # fmt: skip
        return pairs

    def launch(self, name: str, kernel: Any, *arrays: Tensor) -> None:
        """Launch a kernel on a grid of attention matrices, strips and chunks of images."""
        images, length, _, heads, channels = self.qkv.shape
        blocks, matrices = self.blocks, self.count * heads
        tiles = blocks.tiling(name)
        kernel[matrices, blocks.strips(name), blocks.chunks(name, images, matrices)](
            self.qkv, *arrays, images, length, self.offset, blocks.tokens, channels**-0.5,
            **blocks.constants(name, images, matrices, heads),
            num_warps=tiles.warps, num_stages=tiles.stages,
        )  # fmt: skip


def _split(
    qkv: Tensor, biases: Sequence[Tensor], counts: Sequence[int], mask: Tensor | None
) -> Iterator[_Groups]:
    offset = 0
    for bias, count in zip(biases, counts, strict=True):
        yield _Groups(qkv, bias, mask, count, offset)
        offset += count * bias.shape[-1]


@torch.library.custom_op("mim_plugins::biased_attention", mutates_args=(), schema=_SCHEMA)
def biased_attention(
    qkv: Tensor, biases: Sequence[Tensor], counts: Sequence[int], mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Attend in groups of tokens, in float16, bfloat16 or float32; differentiable once.

    Args:
        qkv: queries, keys and values of tokens sorted by group (B, L, 3, H, d).
        biases: bias of each block of groups of equal size, (K, H, n, n), or (1, H, n, n) for all
            groups of a block.
        counts: number of groups K of each block. Together, they have L tokens.
        mask: floats to add to the bias of a single block (K, n, n).

    Returns:
        Attended values (B, L, H, d), and log2 of the denominators of the softmax (B, H, L), which
        has no gradient.

    Raises:
        ValueError: shapes do not match, or the kernels do not support the sizes.
    """
    from .attention_kernel import forward_kernel

    _check(qkv, biases, counts, mask)
    qkv = qkv.contiguous()
    out, lse = _empty_outputs(qkv)
    with torch.cuda.device_of(qkv):
        for groups in _split(qkv, biases, counts, mask):
            if not groups.is_empty:
                groups.launch("forward", forward_kernel, groups.pack(), out, lse)
    return out, lse


@torch.library.custom_op(
    "mim_plugins::biased_attention_backward", mutates_args=(), schema=_BACKWARD_SCHEMA
)
def biased_attention_backward(
    grad: Tensor, qkv: Tensor, biases: Sequence[Tensor], counts: Sequence[int],
    mask: Tensor | None, out: Tensor, lse: Tensor,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """Return the gradients of ``qkv`` and ``biases``.

    The sums over images have a fixed order, so the gradients are deterministic.
    """
    # torch.compile does not keep strides of what it saves for the backward pass
    grad, qkv, out, lse = (x.contiguous() for x in (grad, qkv, out, lse))
    grad_qkv, delta = torch.empty_like(qkv), torch.empty_like(lse)
    with torch.cuda.device_of(qkv):
        grad_biases = [
            torch.zeros_like(groups.bias)
            if groups.is_empty
            else _backward(groups, grad, grad_qkv, out, lse, delta)
            for groups in _split(qkv, biases, counts, mask)
        ]
    return grad_qkv, grad_biases


def _backward(
    groups: _Groups, grad: Tensor, grad_qkv: Tensor, out: Tensor, lse: Tensor, delta: Tensor
) -> Tensor:
    """Compute the gradients of groups; return that of the bias."""
    from .attention_gradients import bias_kernel, key_kernel, query_kernel

    bias, blocks, turned = groups.bias, groups.blocks, groups.pack(is_transposed=True)
    names, matrices = blocks.gradient_kernels, groups.count * bias.shape[1]
    parts = lse.new_empty(blocks.chunks(names[-1], len(grad), matrices), *turned.shape)
    if blocks.is_whole:
        groups.launch("key", key_kernel, turned, out, lse, grad, grad_qkv, parts, delta)
    else:
        pairs = groups.pack()
        groups.launch("query", query_kernel, pairs, out, lse, grad, grad_qkv, delta)
        groups.launch("key", key_kernel, turned, out, lse, grad, grad_qkv, parts, delta)
        groups.launch("bias", bias_kernel, pairs, lse, grad, parts, delta)
    total = parts.sum((0, 1), keepdim=True)[0] if len(bias) < groups.count else parts.sum(0)
    if blocks.is_whole:
        total = total.mT
    tokens = bias.shape[-1]
    return total[..., :tokens, :tokens].contiguous().to(bias.dtype)


def _check(
    qkv: Tensor, biases: Sequence[Tensor], counts: Sequence[int], mask: Tensor | None
) -> None:
    """Raise a ValueError for shapes with which the kernels would use other memory."""
    _, length, _, heads, channels = qkv.shape
    is_valid = len(biases) == len(counts)
    for bias, count in zip(biases, counts, strict=False):
        tokens = bias.shape[-1]
        is_valid &= bias.shape in ((count, heads, tokens, tokens), (1, heads, tokens, tokens))
        is_valid &= AttentionBlocks(tokens, channels, qkv.dtype).is_supported
        length -= count * tokens
    if mask is not None:
        is_valid &= len(counts) == 1 and mask.shape == (counts[0], *biases[0].shape[-2:])
    if not is_valid or length or qkv.shape[2] != 3:
        raise ValueError(
            f"biased_attention: {qkv.dtype} qkv {tuple(qkv.shape)}, biases"
            f" {[tuple(bias.shape) for bias in biases]}, counts={list(counts)} and mask"
            f" {None if mask is None else tuple(mask.shape)} do not match, or exceed 256 tokens per"
            " group, 128 channels per head or 32 bits"
        )


def _empty_outputs(qkv: Tensor) -> tuple[Tensor, Tensor]:
    images, length, _, heads, channels = qkv.shape
    out = qkv.new_empty(images, length, heads, channels)
    return out, qkv.new_empty(images, heads, length, dtype=torch.float32)


@biased_attention.register_fake
def _(qkv: Tensor, biases: Any, counts: Any, mask: Any) -> tuple[Tensor, Tensor]:
    return _empty_outputs(qkv)


@biased_attention_backward.register_fake
def _(
    grad: Tensor, qkv: Tensor, biases: Sequence[Tensor], counts: Any, mask: Any, out: Any, lse: Any
) -> tuple[Tensor, list[Tensor]]:
    return qkv.new_empty(qkv.shape), [bias.new_empty(bias.shape) for bias in biases]


def _save(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    qkv, biases, ctx.counts, mask = inputs
    ctx.save_for_backward(qkv, mask, *output, *biases)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad: Tensor | None, lse_grad: Tensor | None) -> tuple:
    qkv, mask, out, lse, *biases = ctx.saved_tensors
    if lse_grad is not None:
        raise NotImplementedError("biased_attention: only the first output has a gradient")
    if grad is None:
        return None, [None] * len(biases), None, None
    grads = biased_attention_backward(grad, qkv, biases, ctx.counts, mask, out, lse)
    return *grads, None, None


biased_attention.register_autograd(_differentiate, setup_context=_save)


@register_flop_formula(torch.ops.mim_plugins.biased_attention)
def _forward_flops(qkv: Any, biases: Any, counts: Any, *_: Any, **__: Any) -> int:
    return 4 * _products(qkv, biases, counts)


@register_flop_formula(torch.ops.mim_plugins.biased_attention_backward)
def _backward_flops(_: Any, qkv: Any, biases: Any, counts: Any, *__: Any, **___: Any) -> int:
    return 10 * _products(qkv, biases, counts)  # like PyTorch's formula of its fused kernels


def _products(qkv: Any, biases: Any, counts: Any) -> int:
    """Return the pairs of tokens of all images and heads, times the channels."""
    pairs = sum(count * bias[-1] ** 2 for bias, count in zip(biases, counts, strict=True))
    return pairs * qkv[0] * qkv[3] * qkv[4]
