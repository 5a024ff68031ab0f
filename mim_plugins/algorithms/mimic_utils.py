"""What the algorithms share that have teachers."""

from typing import Any

from torch import Tensor, nn

from ..registry import MODELS, SCOPE
from .mimic import Mimic  # noqa: F401  registers the default type


def build_mimics(mimics: dict[str, dict] | None, in_channels: int) -> nn.ModuleDict:
    """Build the named :class:`Mimic` modules of an algorithm with tokens of ``in_channels``."""
    defaults = dict(type=f"{SCOPE}.Mimic", in_channels=in_channels)
    return nn.ModuleDict(
        {name: MODELS.build({**defaults, **cfg}) for name, cfg in (mimics or {}).items()}
    )


def mimic_loss_name(name: str, mimics: nn.ModuleDict) -> str:
    """Name of a mimic's loss in the log: ``loss_mimic``, with its own name among several."""
    return "loss_mimic" if len(mimics) == 1 else f"loss_mimic_{name}"


def to_pixels(images: Tensor, preprocessor: Any) -> Tensor:
    """Undo the preprocessor's normalization: RGB in [0, 1], same shape.

    Raises:
        ValueError: the preprocessor has no ``mean`` and ``std``, so that the values are unknown.
    """
    if not hasattr(preprocessor, "mean") or not hasattr(preprocessor, "std"):
        raise ValueError(
            "teachers need to know the pixels: give the data_preprocessor mean and std"
        )
    return (images * preprocessor.std + preprocessor.mean) / 255
