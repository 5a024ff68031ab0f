"""Attention on the CPU with a bias that is learned.

Letters: B images, M biases (1 when the images share one, else B), P parts that attend to
themselves (windows and heads), n tokens of a part, d channels of a head.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _BiasedAttention(torch.autograd.Function):
    """See :func:`biased_attention`.

    Each direction fills one tensor of the weights' size and changes it in place: on the CPU it is
    memory that costs time.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, bias: Tensor) -> Tensor:
        qkv = qkv.contiguous()
        query, key, value = (x.flatten(0, 1) for x in qkv)  # (B * P, n, d) each
        weights = qkv.new_empty(qkv.shape[1], *bias.shape[1:])
        weights = weights.copy_(bias.contiguous()).flatten(0, 1)
        weights.baddbmm_(query, key.mT, alpha=qkv.shape[-1] ** -0.5)
        torch.softmax(weights, dim=-1, out=weights)
        output = torch.bmm(weights, value)
        ctx.save_for_backward(qkv, weights, output)
        ctx.bias_shape = bias.shape
        return output.unflatten(0, qkv.shape[1:3])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        qkv, weights, output = ctx.saved_tensors
        query, key, value = (x.flatten(0, 1) for x in qkv)
        grad = grad.flatten(0, 1)
        scale = qkv.shape[-1] ** -0.5
        # the softmax's derivative, weights * (x - (weights * x).sum(-1)) for x = grad @ value.T;
        # the sum is that of grad * output
        inner = (grad * output).sum(dim=-1, keepdim=True).neg_()
        scores = torch.baddbmm(inner, grad, value.mT).mul_(weights)
        grads = torch.empty_like(qkv)
        to_query, to_key, to_value = (x.flatten(0, 1) for x in grads)
        torch.baddbmm(query, scores, key, beta=0, alpha=scale, out=to_query)
        torch.baddbmm(key, scores.mT, query, beta=0, alpha=scale, out=to_key)
        torch.bmm(weights.mT, grad, out=to_value)
        return grads, scores.unflatten(0, qkv.shape[1:3]).sum_to_size(ctx.bias_shape)


def biased_attention(qkv: Tensor, bias: Tensor) -> Tensor:
    """softmax(query @ key.T / sqrt(d) + bias) @ value, with a gradient for the bias.

    What ``scaled_dot_product_attention`` computes; with a bias that needs a gradient, PyTorch's
    has no fast path on the CPU. It can be differentiated once.

    Args:
        qkv: queries, keys and values (3, B, P, n, d).
        bias: (M, P, n, n); -inf forbids a pair, and no row may consist of it.

    Returns:
        (B, P, n, d).
    """
    return _BiasedAttention.apply(qkv, bias)  # type: ignore[no-untyped-call]


def has_fast_path(qkv: Tensor) -> bool:
    """Whether :func:`biased_attention` is the faster way.

    It is on the CPU, in full precision, and where no compiler sees to it.
    """
    wide = qkv.dtype in (torch.float32, torch.float64)
    return qkv.device.type == "cpu" and wide and not torch.compiler.is_compiling()
