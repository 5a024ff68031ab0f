"""Hardware and software of the machine."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "torchvision", "triton", "numpy", "mmengine", "mmcv", "mmcv-lite",
            "mmpretrain", "mmdet", "mmsegmentation", "timm", "open_clip_torch",
            "simplejpeg")  # fmt: skip
ROOT = Path(__file__).resolve().parents[4]


def describe(device: str, commit: str | None) -> dict[str, Any]:
    """Return hardware, versions, commit and command line."""
    return dict(
        device=device_name(device),
        hardware=dict(
            cpu=_cpu_name(),
            cores=len(os.sched_getaffinity(0)),
            memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
            **(_gpu() if device == "cuda" else {}),
        ),
        versions=dict(python=platform.python_version(), **_versions()),
        commit=commit or _git("rev-parse", "HEAD") or "unknown",
        changed_files=len((_git("status", "--porcelain") or "").splitlines()),
        command=" ".join(["python", "tools/dev/benchmarks/gpu_report.py", *sys.argv[1:]]),
    )


def device_name(device: str) -> str:
    """Return the name of the GPU, or of the processor."""
    return torch.cuda.get_device_name() if device == "cuda" else _cpu_name()


def _gpu() -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(0)
    return dict(
        gpu=properties.name,
        gpus=torch.cuda.device_count(),
        gpu_memory_gb=properties.total_memory / 1e9,
        compute_capability=f"{properties.major}.{properties.minor}",
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),
        driver=_output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(*arguments: str) -> str | None:
    return _output("git", "-C", str(ROOT), *arguments)


def _output(*command: str) -> str | None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
