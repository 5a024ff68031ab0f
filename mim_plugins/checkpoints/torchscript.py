"""Recognition of TorchScript archives, which are programs that contain weights."""

import zipfile
from pathlib import Path


def is_torchscript(path: str | Path) -> bool:
    """Return whether ``torch.jit.save`` wrote a file, judging by the names of its records."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
