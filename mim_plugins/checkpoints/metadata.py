"""Reading of the description that an exported file contains."""

import hashlib
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .description import KEY, Description, parse_description
from .reading import first_bytes, is_safetensors, safetensors_errors
from .trained_classes import read_plain

_HASHED_AT_ONCE = 2**20


def read_description(path: Path) -> Description | None:
    """Return the description in a file that :func:`read_tensors` can read, None without one.

    Raises:
        CheckpointError: the description is not valid, see :func:`parse_description`, or see
            :func:`read_metadata`.
    """
    text = read_metadata(path).get(KEY)
    if text is None:
        return None
    if type(text) is not str:
        raise CheckpointError(f"the metadata of '{path}' cannot be used: it is not text")
    return parse_description(text, path)


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a safetensors file, or ``meta`` of a PyTorch file, without checks.

    Raises:
        CheckpointError: the file cannot be opened, or is a corrupt safetensors file.
    """
    if is_safetensors(path, first_bytes(path)):
        with safetensors_errors(path):
            from safetensors import safe_open

            with safe_open(path, "pt") as opened:
                return opened.metadata() or {}
    content = read_plain(path)
    meta = content.get("meta") if type(content) is dict else None
    return meta if type(meta) is dict else {}


def file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()
