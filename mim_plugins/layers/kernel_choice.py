"""Choice between the Triton kernels of attention and PyTorch's attention."""

import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from ..errors import ConfigError
from .attention_blocks import AttentionBlocks
from .kernel_check import find_difference

VARIABLE = "MIM_PLUGINS_ATTENTION"
"""Environment variable with one of :data:`CHOICES`."""
CHOICES = ("auto", "triton", "sdpa")
"""Triton kernels where a cost model expects them to be faster, where they can run, or nowhere."""
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Whether Triton runs its kernels on the CPU, as tests do."""
_verdicts: dict[tuple, bool] = {}
# torch 2.6 lacks it, and cannot export the encoders
_is_exporting = getattr(torch.compiler, "is_exporting", bool)


def chosen_kernels() -> str:
    """Return the value of the environment variable, or ``auto``.

    Raises:
        ConfigError: it has another value.
    """
    choice = os.environ.get(VARIABLE, CHOICES[0])
    if choice not in CHOICES:
        raise ConfigError(
            f"{VARIABLE}={choice!r} must be {', '.join(CHOICES[:-1])} or {CHOICES[-1]}"
        )
    return choice


def uses_kernels(qkv: Tensor, biases: Sequence[Tensor], attn_mask: Tensor | None) -> bool:
    """Return whether the Triton kernels attend; see :func:`attend_in_groups` for the arguments.

    They do on GPUs, for which the device ``meta`` stands, if bias and mask are the same for all
    images. On the CPU, they do in Triton's interpreter only. Programs of ``torch.export`` and ONNX
    and traces of ``torch.jit`` contain PyTorch's attention, because they run without this package.
    """
    if qkv.device.type not in ("cuda", "meta") and not INTERPRETED:
        return False
    if any(len(x) > 1 for x in (*biases, attn_mask) if x is not None):
        return False
    # with symbolic sizes, torch.compile makes a graph for these
    tokens = tuple(int(bias.shape[-1]) for bias in biases)
    heads, channels = map(int, qkv.shape[3:])
    return are_usable(qkv.device, qkv.dtype, heads, channels, tokens, attn_mask is not None)


def are_usable(
    device: torch.device,
    dtype: torch.dtype,
    heads: int,
    channels: int,
    tokens: tuple[int, ...],
    has_mask: bool,
) -> bool:
    """Return whether the kernels are chosen for the sizes and agree with PyTorch's attention.

    They are compared once for each size. If a kernel fails or differs, a warning is issued, and the
    process uses PyTorch's attention from then on.
    """
    # not in uses_kernels, where torch.compile would replace the call by True
    if _is_exporting() or torch.jit.is_tracing():
        return False
    choice = chosen_kernels()
    sizes = [AttentionBlocks(size, channels, dtype) for size in tokens if size]
    fits = all(x.is_preferred if choice == "auto" else x.is_supported for x in sizes)
    if choice == "sdpa" or not fits:
        return False
    # without a GPU, tensors on it have no values
    if device.type == "meta" or (device.type == "cuda" and not torch.cuda.is_available()):
        return True
    if find_spec("triton") is None or not all(_verdicts.values()):
        return False
    return all(_is_right(size, device, heads, has_mask) for size in sizes)


# torch.compile calls it once and keeps the result; PyTorch's decorator would import its compiler
are_usable._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _is_right(blocks: AttentionBlocks, device: torch.device, heads: int, has_mask: bool) -> bool:
    key = blocks, device, heads, has_mask
    if key not in _verdicts:
        difference = find_difference(*key)
        _verdicts[key] = not difference
        if difference:
            warnings.warn(
                f"the Triton kernels of attention {difference}, for {heads} heads with"
                f" {blocks.channels} channels, {blocks.tokens} tokens and {blocks.dtype} on"
                f" {device}; this process uses PyTorch's attention, which keeps a bias gradient per"
                f" image; {VARIABLE}=sdpa prevents this comparison",
                stacklevel=2,
            )
    return _verdicts[key]
