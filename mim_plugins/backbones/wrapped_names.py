"""Names of parameters inside modules that wrap others."""

from typing import Any

# of torch.compile, activation checkpointing, FSDP1 and DDP
WRAPPERS = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "module")
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
