"""Recognition of TorchScript archives, which are programs with weights in them."""

import zipfile
from pathlib import Path


def is_torchscript(path: str | Path) -> bool:
    """Return whether a file was written by ``torch.jit.save``, by the names of its records."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
