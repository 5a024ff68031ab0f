"""Triton kernels of attention with a learned bias, in groups of tokens that share it over images.

Letters: B images, L tokens of an image, K groups of n tokens, N tokens rounded up to whole blocks,
H heads, d channels per head.

The attention matrix of a head of a group consists of blocks of ``rows`` x ``columns`` tokens. A
program computes a strip of blocks for several images in turn: their bias stays in the cache, and
its gradient in registers. Arrays: qkv (B, L, 3, H, d); out and grad (B, L, H, d); lse and delta
(B, H, L). The groups begin at the token ``offset`` of each image.

The packed bias ``pairs`` and its gradient (..., K, H, N, N) are padded, because addresses with a
stride that is no constant would occupy most registers. Scores are multiplied by log2(e), because
GPUs compute powers of two.
"""
# mypy: allow-incomplete-defs

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def pack_kernel(
    bias, mask, pairs, tokens, heads, bias_stride, has_mask: tl.constexpr,
    is_transposed: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr, size: tl.constexpr,
):  # fmt: skip
    """Add the mask (K, n, n) to the bias (K or 1, H, n, n), and pack it; -inf is outside of it.

    ``is_transposed`` makes keys the rows.
    """
    group, head = tl.program_id(0) // heads, tl.program_id(0) % heads
    row = tl.program_id(1) * rows + tl.arange(0, rows)[:, None]
    column = tl.program_id(2) * columns + tl.arange(0, columns)[None, :]
    inside = (row < tokens) & (column < tokens)
    place = column * tokens + row if is_transposed else row * tokens + column
    start = bias + group.to(tl.int64) * bias_stride + head * tokens * tokens
    values = tl.load(start + place, mask=inside, other=float("-inf")).to(tl.float32)
    if has_mask:
        start = mask + group.to(tl.int64) * tokens * tokens
        values += tl.load(start + place, mask=inside, other=0.0).to(tl.float32)
    start = pairs + tl.program_id(0).to(tl.int64) * size * size
    tl.store(start + row * size + column, (values * LOG2_E).to(pairs.dtype.element_ty))


@triton.jit
def load_tokens(start, token, channel, limit, stride: tl.constexpr, channels: tl.constexpr):
    """Load vectors of tokens, zero outside of the group."""
    inside = (token[:, None] < limit) & (channel[None, :] < channels)
    return tl.load(start + token[:, None] * stride + channel[None, :], mask=inside, other=0.0)


@triton.jit
def store_tokens(
    start, values, token, channel, limit, stride: tl.constexpr, channels: tl.constexpr
):
    """Store vectors of the tokens of the group."""
    inside = (token[:, None] < limit) & (channel[None, :] < channels)
    place = start + token[:, None] * stride + channel[None, :]
    tl.store(place, values.to(start.dtype.element_ty), mask=inside)


@triton.jit
def forward_kernel(
    qkv, pairs, out, lse, images, length, offset, tokens, scale, per_program: tl.constexpr,
    heads: tl.constexpr, channels: tl.constexpr, blocks: tl.constexpr, rows: tl.constexpr,
    columns: tl.constexpr, width: tl.constexpr, size: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Compute the output and log2 of the softmax's denominators, for a strip of queries."""
    group, head = tl.program_id(0) // heads, tl.program_id(0) % heads
    query, channel = tl.program_id(1) * rows + tl.arange(0, rows), tl.arange(0, width)
    first = (tl.program_id(2) * per_program).to(tl.int64)
    row = first * length + offset + group * tokens
    vector = (first * heads + head) * length + offset + group * tokens
    pairs += tl.program_id(0).to(tl.int64) * size * size
    part: tl.constexpr = heads * channels
    for index in range(per_program):
        limit = tl.where(first + index < images, tokens, 0)
        start = qkv + row * 3 * part + head * channels
        q = load_tokens(start, query, channel, limit, 3 * part, channels)
        top = tl.full((rows,), float("-inf"), tl.float32)
        total = tl.zeros((rows,), tl.float32)
        values = tl.zeros((rows, width), tl.float32)
        for block in range(blocks):
            key = block * columns + tl.arange(0, columns)
            k = load_tokens(start + part, key, channel, limit, 3 * part, channels)
            v = load_tokens(start + 2 * part, key, channel, limit, 3 * part, channels)
            tile = tl.load(pairs + query[:, None] * size + key[None, :])
            scores = tl.dot(q, tl.trans(k), input_precision=precision) * (scale * LOG2_E) + tile
            new = tl.maximum(top, tl.max(scores, 1))
            shift = tl.where(new == float("-inf"), 0.0, new)  # no permitted key so far
            weights = tl.exp2(scores - shift[:, None])
            decay = tl.exp2(top - shift)
            total = total * decay + tl.sum(weights, 1)
            values = values * decay[:, None]
            values = tl.dot(weights.to(v.dtype), v, values, input_precision=precision)
            top = new
        top = tl.where(top == float("-inf"), 0.0, top)  # a query without keys gives zeros
        total = tl.where(total == 0.0, 1.0, total)
        values = values / total[:, None]
        store_tokens(
            out + row * part + head * channels, values, query, channel, limit, part, channels
        )
        tl.store(lse + vector + query, top + tl.log2(total), mask=query < limit)
        row += length
        vector += heads * length
