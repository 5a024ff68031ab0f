"""Origin of a result: commit, versions and host."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from experiment import HERE


def origin() -> dict[str, Any]:
    """Return the commit, the versions and the host of a result."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    commit = subprocess.run(describe, cwd=HERE, capture_output=True, text=True, check=False)
    return dict(
        commit=commit.stdout.strip(),
        versions={name: version(name) for name in ("torch", "mmengine", "mmpretrain", "timm")},
        host=f"{_processor()}, {'GPU' if torch.cuda.is_available() else 'CPU'}",
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores {names[0]}" if names else platform.machine()
