"""Meters of memory, and of the device's rate of matrix products; spread of measured values."""

import time
from pathlib import Path
from statistics import median

import torch
from torch import nn

PRODUCTS = 4
MIB = 2**20


def spread(values: list[float]) -> dict[str, float]:
    """Return median and range."""
    return dict(median=median(values), min=min(values), max=max(values))


class MemoryMeter:
    """Peak memory: CUDA's allocated bytes, or a process's resident bytes beyond its imports."""

    def __init__(self, device: str) -> None:
        self.on_cuda = device.startswith("cuda")
        self.before = 0 if self.on_cuda else _resident("VmRSS")

    def restart(self) -> None:
        """Reset the peak."""
        if self.on_cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return  # the peak then includes building the model

    def peak(self) -> float:
        """Return the peak in bytes."""
        if self.on_cuda:
            return torch.cuda.max_memory_allocated()
        return _resident("VmHWM") - self.before


def _resident(field: str) -> int:
    """Read a field of Linux's process status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def synchronize(device: str) -> None:
    """Wait until the device has finished its work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class MatrixProduct:
    """Rate of matrix products of the device, the reference for the utilization of models."""

    def __init__(self, device: str, dtype: str) -> None:
        self.device = device
        side = 8192 if device.startswith("cuda") else 1536
        self.matrix = torch.randn(side, side).to(device, getattr(torch, dtype))
        self()  # warm-up

    @torch.no_grad()
    def __call__(self) -> float:
        """Return the floating-point operations per second of the fastest product."""
        seconds = []
        for _ in range(PRODUCTS):
            synchronize(self.device)
            start = time.perf_counter()
            nn.functional.linear(self.matrix, self.matrix)
            synchronize(self.device)
            seconds.append(time.perf_counter() - start)
        return 2 * len(self.matrix) ** 3 / min(seconds)
