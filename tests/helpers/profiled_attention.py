"""Kernels that scaled dot product attention really chose."""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.autograd import DeviceType
from torch.nn.attention import SDPBackend
from torch.profiler import ProfilerActivity, profile

_OPERATIONS: dict[str, SDPBackend | str] = {
    "mim_plugins::biased_attention": "biased_attention",
    "_scaled_dot_product_attention_math": SDPBackend.MATH,
    "_scaled_dot_product_cudnn_attention": SDPBackend.CUDNN_ATTENTION,
    "_scaled_dot_product_efficient_attention": SDPBackend.EFFICIENT_ATTENTION,
    "_scaled_dot_product_flash_attention": SDPBackend.FLASH_ATTENTION,
    "_scaled_dot_product_flash_attention_for_cpu": SDPBackend.FLASH_ATTENTION,
    "_scaled_dot_product_fused_attention_overrideable": SDPBackend.OVERRIDEABLE,
}
_KERNEL_WORDS = ("attention", "flash", "fmha", "sdpa")


class ProfiledAttention(NamedTuple):
    """Attention of a program, as PyTorch's profiler recorded it."""

    calls: Counter
    """Calls in the forward pass by :class:`SDPBackend`, or ``biased_attention`` for Triton."""
    kernels: list[str]
    """Names of CUDA kernels of attention."""


def profile_attention(program: Callable[[], Any]) -> ProfiledAttention:
    """Run a program under PyTorch's profiler, and return the kernels of its attention."""
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        program()
    calls: Counter = Counter()
    kernels = set()
    for event in profiler.events() or []:
        backend = _OPERATIONS.get(event.name.removeprefix("aten::"))
        if backend is not None:
            calls[backend] += 1
        elif event.device_type == DeviceType.CUDA and _is_attention(event.name):
            kernels.add(event.name)
    return ProfiledAttention(calls, sorted(kernels))


def _is_attention(kernel: str) -> bool:
    return any(word in kernel.lower() for word in _KERNEL_WORDS)
