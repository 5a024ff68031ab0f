"""Triton kernels of the gradients of attention with a learned bias; see :mod:`attention_kernel`.

For small groups, :func:`key_kernel` computes all gradients. For others, the kernels compute the
attention weights again, and exchange ``delta`` (B, H, L), the sums of out * grad over the channels.

``grad_pairs`` (chunks, K, H, N, N) receives the gradient of the packed bias, summed over the images
of a program.
"""
# mypy: allow-incomplete-defs

import triton
import triton.language as tl

from .attention_kernel import LOG2_E, load_tokens, store_tokens


@triton.jit
def _weights(rows, columns, scale, tile, normalizer, precision: tl.constexpr):
    """Return the attention weights of a block."""
    scores = tl.dot(rows, tl.trans(columns), input_precision=precision) * (scale * LOG2_E) + tile
    return tl.exp2(scores - normalizer)


@triton.jit
def query_kernel(
    qkv, pairs, out, lse, grad, grad_qkv, delta, images, length, offset, tokens, scale,
    per_program: tl.constexpr, heads: tl.constexpr, channels: tl.constexpr, blocks: tl.constexpr,
    rows: tl.constexpr, columns: tl.constexpr, width: tl.constexpr, size: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    """Compute the gradient of queries and ``delta``, for a strip of queries."""
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
        o = load_tokens(out + row * part + head * channels, query, channel, limit, part, channels)
        g = load_tokens(grad + row * part + head * channels, query, channel, limit, part, channels)
        normalizer = tl.load(lse + vector + query, mask=query < limit, other=float("inf"))
        inner = tl.sum(o.to(tl.float32) * g.to(tl.float32), 1)
        values = tl.zeros((rows, width), tl.float32)
        for block in range(blocks):
            key = block * columns + tl.arange(0, columns)
            k = load_tokens(start + part, key, channel, limit, 3 * part, channels)
            v = load_tokens(start + 2 * part, key, channel, limit, 3 * part, channels)
            tile = tl.load(pairs + query[:, None] * size + key[None, :])
            weights = _weights(q, k, scale, tile, normalizer[:, None], precision)
            change = tl.dot(g, tl.trans(v), input_precision=precision) - inner[:, None]
            change = (weights * change).to(k.dtype)
            values = tl.dot(change, k, values, input_precision=precision)
        to = grad_qkv + row * 3 * part + head * channels
        store_tokens(to, values * scale, query, channel, limit, 3 * part, channels)
        tl.store(delta + vector + query, inner, mask=query < limit)
        row += length
        vector += heads * length


@triton.jit
def _key_block(
    start, to, out, grad, pairs, lse, delta, k, v, grad_k, grad_v, key, block, limit, scale,
    part: tl.constexpr, channels: tl.constexpr, is_whole: tl.constexpr, columns: tl.constexpr,
    width: tl.constexpr, size: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Add the contribution of a block of queries to the gradients of a strip of keys."""
    query, channel = block * columns + tl.arange(0, columns), tl.arange(0, width)
    q = load_tokens(start, query, channel, limit, 3 * part, channels)
    g = load_tokens(grad, query, channel, limit, part, channels)
    normalizer = tl.load(lse + query, mask=query < limit, other=float("inf"))
    if is_whole:
        o = load_tokens(out, query, channel, limit, part, channels)
        inner = tl.sum(o.to(tl.float32) * g.to(tl.float32), 1)
    else:
        inner = tl.load(delta + query, mask=query < limit, other=0.0)
    tile = tl.load(pairs + key[:, None] * size + query[None, :])
    weights = _weights(k, q, scale, tile, normalizer[None, :], precision)
    grad_v = tl.dot(weights.to(g.dtype), g, grad_v, input_precision=precision)
    change = tl.dot(v, tl.trans(g), input_precision=precision) - inner[None, :]
    change = weights * change
    short = change.to(q.dtype)
    grad_k = tl.dot(short, q, grad_k, input_precision=precision)
    if is_whole:
        values = tl.trans(tl.dot(tl.trans(k), short, input_precision=precision)) * scale
        store_tokens(to, values, query, channel, limit, 3 * part, channels)
    return grad_k, grad_v, change


@triton.jit
def key_kernel(
    qkv, pairs, out, lse, grad, grad_qkv, grad_pairs, delta, images, length, offset, tokens, scale,
    per_program: tl.constexpr, heads: tl.constexpr, channels: tl.constexpr, is_whole: tl.constexpr,
    blocks: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr, width: tl.constexpr,
    size: tl.constexpr, precision: tl.constexpr,
):  # fmt: skip
    """Compute the gradients of keys and values, for a strip of keys; the rows are keys.

    If the strip ``is_whole``, it includes all keys and has at most four blocks, and the kernel also
    computes the gradients of queries and bias.
    """
    group, head = tl.program_id(0) // heads, tl.program_id(0) % heads
    key, channel = tl.program_id(1) * rows + tl.arange(0, rows), tl.arange(0, width)
    first = (tl.program_id(2) * per_program).to(tl.int64)
    row = first * length + offset + group * tokens
    vector = (first * heads + head) * length + offset + group * tokens
    pairs += tl.program_id(0).to(tl.int64) * size * size
    part: tl.constexpr = heads * channels
    zeros = tl.zeros((rows, columns), tl.float32)
    total0, total1, total2, total3 = zeros, zeros, zeros, zeros
    for index in range(per_program):
        limit = tl.where(first + index < images, tokens, 0)
        start = qkv + row * 3 * part + head * channels
        to = grad_qkv + row * 3 * part + head * channels
        o, g = out + row * part + head * channels, grad + row * part + head * channels
        k = load_tokens(start + part, key, channel, limit, 3 * part, channels)
        v = load_tokens(start + 2 * part, key, channel, limit, 3 * part, channels)
        grad_k = tl.zeros((rows, width), tl.float32)
        grad_v = tl.zeros((rows, width), tl.float32)
        if is_whole:
            for block in tl.static_range(blocks):
                grad_k, grad_v, change = _key_block(
                    start, to, o, g, pairs, lse + vector, delta, k, v, grad_k, grad_v, key, block,
                    limit, scale, part, channels, is_whole, columns, width, size, precision,
                )  # fmt: skip
                if block == 0:
                    total0 += change
                if block == 1:
                    total1 += change
                if block == 2:
                    total2 += change
                if block == 3:
                    total3 += change
        else:
            for block in range(blocks):
                grad_k, grad_v, change = _key_block(
                    start, to, o, g, pairs, lse + vector, delta + vector, k, v, grad_k, grad_v,
                    key, block, limit, scale, part, channels, is_whole, columns, width, size,
                    precision,
                )  # fmt: skip
        store_tokens(to + part, grad_k * scale, key, channel, limit, 3 * part, channels)
        store_tokens(to + 2 * part, grad_v, key, channel, limit, 3 * part, channels)
        row += length
        vector += heads * length
    if is_whole:
        place = (tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)).to(tl.int64) * size
        place = (place + key[:, None]) * size + tl.arange(0, columns)[None, :]
        tl.store(grad_pairs + place, total0)
        if blocks > 1:
            tl.store(grad_pairs + place + columns, total1)
        if blocks > 2:
            tl.store(grad_pairs + place + 2 * columns, total2)
        if blocks > 3:
            tl.store(grad_pairs + place + 3 * columns, total3)


@triton.jit
def bias_kernel(
    qkv, pairs, lse, grad, grad_pairs, delta, images, length, offset, tokens, scale,
    per_program: tl.constexpr, heads: tl.constexpr, channels: tl.constexpr, blocks: tl.constexpr,
    rows: tl.constexpr, columns: tl.constexpr, width: tl.constexpr, size: tl.constexpr,
    precision: tl.constexpr,
):  # fmt: skip
    """Compute the gradient of the bias for one block, summed over the images of the program."""
    group, head = tl.program_id(0) // heads, tl.program_id(0) % heads
    query = tl.program_id(1) // blocks * rows + tl.arange(0, rows)
    key = tl.program_id(1) % blocks * columns + tl.arange(0, columns)
    channel = tl.arange(0, width)
    first = (tl.program_id(2) * per_program).to(tl.int64)
    row = first * length + offset + group * tokens
    vector = (first * heads + head) * length + offset + group * tokens
    pairs += tl.program_id(0).to(tl.int64) * size * size
    part: tl.constexpr = heads * channels
    total = tl.zeros((rows, columns), tl.float32)
    for index in range(per_program):
        limit = tl.where(first + index < images, tokens, 0)
        start = qkv + row * 3 * part + head * channels
        q = load_tokens(start, query, channel, limit, 3 * part, channels)
        k = load_tokens(start + part, key, channel, limit, 3 * part, channels)
        v = load_tokens(start + 2 * part, key, channel, limit, 3 * part, channels)
        g = load_tokens(grad + row * part + head * channels, query, channel, limit, part, channels)
        normalizer = tl.load(lse + vector + query, mask=query < limit, other=float("inf"))
        inner = tl.load(delta + vector + query, mask=query < limit, other=0.0)
        tile = tl.load(pairs + query[:, None] * size + key[None, :])
        weights = _weights(q, k, scale, tile, normalizer[:, None], precision)
        change = tl.dot(g, tl.trans(v), input_precision=precision) - inner[:, None]
        total += weights * change
        row += length
        vector += heads * length
    place = (tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)).to(tl.int64) * size
    tl.store(grad_pairs + (place + query[:, None]) * size + key[None, :], total)
