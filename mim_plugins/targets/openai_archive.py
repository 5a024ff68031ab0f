"""CLIP files of OpenAI, which are TorchScript archives."""

import os
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checkpoints.metadata import file_digest
from ..errors import CheckpointError

TAG = "openai"
# entries that are not weights
_SIZES = ("input_resolution", "context_length", "vocab_size")


def read_openai_archive(open_clip: Any, name: str, path: str) -> dict[str, Tensor]:
    """Return the weights of the TorchScript archive that OpenAI published for a model.

    Loading a TorchScript archive can run code, so only OpenAI's archives are loaded. They are
    recognized by their SHA-256, which is part of open_clip's address of the file.

    Raises:
        CheckpointError: the archive is another one; the message names the file to get.
    """
    digest = file_digest(Path(path))
    published = {model: _config(open_clip, model) for model in open_clip.list_openai_models()}
    models = [m for m, config in published.items() if digest_in(config.get("url", "")) == digest]
    if name not in models:
        found = f"OpenAI's file of {models[0]}" if models else "none of OpenAI's"
        raise CheckpointError(
            f"pretrained='{path}' is a TorchScript archive, which can run code, and {found} by its"
            f" SHA-256 ({digest[:12]}...), so it was not loaded; {_remedy(open_clip, name)}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        state = torch.jit.load(path, map_location="cpu").state_dict()
    return {key: tensor for key, tensor in state.items() if key not in _SIZES}


def digest_in(url: str) -> str:
    """Return the SHA-256, or its beginning, in an address of open_clip; ``""`` if there is none."""
    found = re.search(r"/([0-9a-f]{64})/[^/]+$|-([0-9a-f]{8,64})\.\w+$", url)
    return (found[1] or found[2]) if found else ""


def require_digest(path: Path, digest: str) -> None:
    """Check that a file's SHA-256 begins with ``digest``.

    Raises:
        CheckpointError: it begins otherwise.
    """
    found = file_digest(Path(path))
    if not found.startswith(digest):
        raise CheckpointError(
            f"'{path}' is not the file that open_clip expects: its SHA-256 begins with"
            f" {found[: len(digest)][:16]}, not with {digest[:16]}"
        )


def _config(open_clip: Any, model: str) -> dict[str, Any]:
    known = open_clip.is_pretrained_cfg(model, TAG)
    return open_clip.get_pretrained_cfg(model, TAG) if known else {}


def _remedy(open_clip: Any, name: str) -> str:
    repository = os.path.split(_config(open_clip, name).get("hf_hub", ""))[0]
    if repository:
        return (
            f"get '{repository}/open_clip_model.safetensors' of the hub, and set"
            f" pretrained='/path/to/open_clip_model.safetensors', tag='{TAG}'"
        )
    return "give a state dict, saved by torch.save(model.state_dict(), ...)"
