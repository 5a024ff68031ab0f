"""Attention, MLP and Transformer block, their initialization and gradient checkpointing."""

from collections.abc import Sequence
from contextlib import nullcontext
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint
from torchvision.ops import StochasticDepth

_WITH_BIAS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def attend(qkv: Tensor, bias: Tensor | None = None, dropout_p: float = 0.0) -> Tensor:
    """Compute softmax(query @ key.T / sqrt(d) + bias) @ value with the fastest kernel.

    Letters: B images, P attention problems per image (heads, or windows times heads), n tokens,
    d channels per head.

    Args:
        qkv: queries, keys and values (3, B, P, n, d).
        bias: floats added to the scores, or bools with True = may attend. The shape must broadcast
            to (B, P, n, n); a bias with a gradient must be (1, P, n, n) or (B, P, n, n). Every row
            must permit at least one key.
        dropout_p: dropout rate of the attention weights.

    Returns:
        Attended values (B, P, n, d).
    """
    if bias is not None and bias.requires_grad and dropout_p == 0 and uses_cpu_kernel(qkv):
        return _LearnedBiasAttention.apply(qkv, bias)  # type: ignore[no-untyped-call]
    query, key, value = qkv.unbind(0)
    return fused_attention(query, key, value, bias, dropout_p)


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout_p: float = 0.0
) -> Tensor:
    """Compute PyTorch's attention; a bias uses the same kernel in training and evaluation.

    cuDNN's kernel does not compute the gradient of a bias, so PyTorch would use it in evaluation
    only. See :func:`attend` for the arguments.
    """
    with nullcontext() if bias is None or bias.device.type == "cpu" else sdpa_kernel(_WITH_BIAS):
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=dropout_p
        )


def uses_cpu_kernel(qkv: Tensor) -> bool:
    """Return whether :func:`attend` uses its own CPU kernel for a learned bias.

    It does in full precision, outside of ``torch.compile`` and of traces of ``torch.jit``, which
    cannot contain it.
    """
    full_precision = qkv.dtype in (torch.float32, torch.float64)
    is_recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return qkv.device.type == "cpu" and full_precision and not is_recorded


class _LearnedBiasAttention(torch.autograd.Function):
    """Attention on the CPU with a gradient for the bias; differentiable once.

    PyTorch has no fused CPU kernel for a bias that requires a gradient. Each direction fills one
    tensor of the size of the attention weights and changes it in place, because memory traffic
    dominates the run time on the CPU.
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
        # The derivative of softmax is weights * (x - (weights * x).sum(-1)) with
        # x = grad @ value.T. The sum equals that of grad * output, which is a smaller tensor.
        inner = (grad * output).sum(dim=-1, keepdim=True).neg_()
        scores = torch.baddbmm(inner, grad, value.mT).mul_(weights)
        grads = torch.empty_like(qkv)
        grad_query, grad_key, grad_value = (x.flatten(0, 1) for x in grads)
        torch.baddbmm(query, scores, key, beta=0, alpha=scale, out=grad_query)
        torch.baddbmm(key, scores.mT, query, beta=0, alpha=scale, out=grad_key)
        torch.bmm(weights.mT, grad, out=grad_value)
        return grads, scores.unflatten(0, qkv.shape[1:3]).sum_to_size(ctx.bias_shape)


def init_linear_and_norm(module: nn.Module) -> None:
    """Initialize linear layers (Xavier uniform, zero bias) and LayerNorms; use with ``apply``."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


def mlp_width(dim: int, mlp_ratio: float) -> int:
    """Return the hidden channels of an MLP for ``dim`` channels.

    Raises:
        ValueError: ``mlp_ratio`` is not a number, or leaves no channel.
    """
    is_number = isinstance(mlp_ratio, Real) and not isinstance(mlp_ratio, bool)
    if not is_number or not 1 <= dim * mlp_ratio < float("inf"):
        raise ValueError(
            f"mlp_ratio={mlp_ratio!r} must be a number with which an MLP of {dim} channels has at"
            " least one hidden channel, such as 4.0"
        )
    return int(dim * mlp_ratio)


def build_mlp(dim: int, mlp_ratio: float, drop_rate: float = 0.0) -> nn.Sequential:
    """Build two linear layers with GELU between them, named as in timm's checkpoints."""
    hidden_dim = mlp_width(dim, mlp_ratio)
    layers = nn.Sequential()
    layers.add_module("fc1", nn.Linear(dim, hidden_dim))
    layers.add_module("act", nn.GELU())
    layers.add_module("drop1", nn.Dropout(drop_rate))
    layers.add_module("fc2", nn.Linear(hidden_dim, dim))
    layers.add_module("drop2", nn.Dropout(drop_rate))
    return layers


class SelfAttention(nn.Module):
    """Multi-head self-attention over all tokens of a sequence.

    Args:
        dim: channels, a multiple of ``num_heads``.
        num_heads: attention heads.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """Apply attention among tokens (B, L, D) or in windows (B, nW, L, D); keep the shape.

        ``attn_mask`` (1, nW, L, L), for windows only, is True where a query (rows) may attend to a
        key (columns). None permits all pairs.
        """
        shape = x.shape
        # fused kernels take four dimensions, so windows are folded into the batch
        qkv = self.qkv(x).reshape(-1, shape[-2], 3, self.num_heads, shape[-1] // self.num_heads)
        if attn_mask is not None:
            attn_mask = attn_mask.expand(shape[0], -1, -1, -1).flatten(0, 1)[:, None]
        x = attend(qkv.permute(2, 0, 3, 1, 4), attn_mask)
        return self.proj(x.transpose(1, 2).reshape(shape))


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and MLP (ViT, arXiv 2010.11929).

    Args:
        dim: channels of the tokens.
        num_heads: attention heads.
        mlp_ratio: width of the MLP relative to ``dim``.
        drop_path_rate: stochastic depth of both branches.
        norm_eps: epsilon of the LayerNorms.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = SelfAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = build_mlp(dim, mlp_ratio)
        self.drop_path = StochasticDepth(drop_path_rate, mode="row")

    def forward(self, x: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """Transform tokens (B, L, D) or windows (B, nW, L, D); see :class:`SelfAttention`."""
        x = x + self.drop_path(self.attn(self.norm1(x), attn_mask))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def checkpointed_call(block: nn.Module, with_cp: bool, *inputs: Any) -> Tensor:
    """Apply one block; ``with_cp`` recomputes its activations in the backward pass."""
    if with_cp and torch.is_grad_enabled():
        return checkpoint(block, *inputs, use_reentrant=False)
    return block(*inputs)


def checkpointed_forward(
    blocks: nn.ModuleList, x: Tensor, with_cp: bool, out_indices: Sequence[int] = ()
) -> tuple[Tensor, list[Tensor]]:
    """Apply ``blocks`` in order; also return the outputs of the blocks in ``out_indices``.

    ``with_cp`` recomputes the activations of each block in the backward pass.
    """
    intermediates = {}
    for index, block in enumerate(blocks):
        x = checkpointed_call(block, with_cp, x)
        if index in out_indices:
            intermediates[index] = x
    return x, [intermediates[index] for index in out_indices]
