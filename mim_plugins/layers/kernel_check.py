"""Comparison of the Triton kernels of attention with PyTorch's attention."""

from contextlib import nullcontext
from threading import Thread

import torch
from torch import Tensor

from .attention_blocks import AttentionBlocks
from .attention_op import biased_attention
from .token_groups import attend_with_pytorch

# relative to the largest value, whose rounding error the sums contain
_TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 4e-2}
_IMAGES, _GROUPS = 3, 2  # programs sum over two images, and one of them has a single one
_NAMES = ("the output", "the gradient of queries, keys and values", "the gradient of the bias")


def find_difference(
    blocks: AttentionBlocks, device: torch.device, heads: int, has_mask: bool
) -> str:
    """Return how the kernels fail or differ from PyTorch's attention in float64; empty if equal.

    Args:
        blocks: size of the groups.
        device: GPU, or the CPU in Triton's interpreter.
        heads: attention heads.
        has_mask: add a mask of groups to the bias.
    """
    found: list[str] = []

    def compare() -> None:
        try:
            with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
                found.append(_compare(blocks, device, heads, has_mask))
        except Exception as error:  # of compilers and drivers
            lines = str(error).strip().splitlines()
            found.append(f"failed ({type(error).__name__}: {lines[0] if lines else 'no message'})")

    # in a new thread, modes and hooks of the caller are not active: those of autocast,
    # torch.no_grad, tensors without values, and gradient checkpointing
    thread = Thread(target=compare)
    thread.start()
    thread.join()
    return found[0]


def _compare(blocks: AttentionBlocks, device: torch.device, heads: int, has_mask: bool) -> str:
    # a single token has gradients of zero
    tokens, channels = max(2, blocks.tokens), blocks.channels
    generator = torch.Generator(device).manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    qkv = random(_IMAGES, _GROUPS * tokens, 3, heads, channels).to(blocks.dtype)
    grad = random(_IMAGES, _GROUPS * tokens, heads, channels).to(blocks.dtype)
    bias, mask = random(1, heads, tokens, tokens), None
    if has_mask:
        side = random(_GROUPS, tokens) < 0
        forbidden = side[:, :, None] != side[:, None, :]
        mask = torch.zeros(forbidden.shape, device=device).masked_fill(forbidden, -torch.inf)

    inputs = qkv.requires_grad_(), bias.requires_grad_()
    output, _ = biased_attention(qkv, [bias], [_GROUPS], mask)
    ours = output, *torch.autograd.grad(output, inputs, grad)
    exact = qkv.detach().double().requires_grad_(), bias.detach().double().requires_grad_()
    exact_mask = None if mask is None else mask[None].double()
    output = attend_with_pytorch(exact[0], [exact[1][None]], [_GROUPS], exact_mask)
    theirs = output, *torch.autograd.grad(output, exact, grad.double())
    for name, found, expected in zip(_NAMES, ours, theirs, strict=True):
        error = ((found - expected).abs().max() / expected.abs().max()).item()
        if not error <= _TOLERANCES[blocks.dtype]:
            return f"differ in {name} by {error:.1g} of its largest value"
    return ""
