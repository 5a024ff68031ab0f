"""Names of parameters inside modules that wrap others."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..errors import CheckpointError

# of torch.compile, activation checkpointing and FSDP1
_RESERVED = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
_DDP = "module"
WRAPPERS = (*_RESERVED, _DDP)
FLAT = "_flat_param"
"""Name of FSDP1's parameter that joins those of a module."""


def joined(encoder: Any, name: str) -> str:
    """Return the error message for a parameter that joins several depths."""
    return (
        f"{type(encoder).__name__}: '{name}' joins parameters of several depths, but layer-wise"
        " learning rates require one per depth; set use_orig_params=True of FSDP1, or wrap blocks"
    )


def without_wrappers(name: str) -> str:
    """Return the name that a parameter or module would have without wrappers."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def unwrap_tensors(
    tensors: Mapping[str, Tensor], own: Mapping[str, Any], source: str
) -> dict[str, Tensor]:
    """Return a checkpoint's tensors under their names without wrappers.

    Names are kept if a model with the names ``own`` has wrappers itself. ``module`` is left out
    only at the beginning, because a part of a model may have this name.

    Raises:
        CheckpointError: two tensors have one name without wrappers.
    """
    if any(without_wrappers(name) != name for name in own):
        return dict(tensors)
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = _unwrapped(name)
        if short in found:
            raise CheckpointError(
                f"'{source}': two tensors are named '{short}', with and without"
                f" {', '.join(WRAPPERS)}; remove the names of one of them from the file"
            )
        found[short] = tensor
    return found


def _unwrapped(name: str) -> str:
    parts = [part for part in name.split(".") if part not in _RESERVED]
    while parts[:1] == [_DDP]:
        parts = parts[1:]
    return ".".join(parts)
