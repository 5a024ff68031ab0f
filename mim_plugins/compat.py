"""Adaptation of mmpretrain to packages that are newer than it is."""

from importlib import import_module, metadata
from typing import Any

MULTIMODAL_LIMIT = 5
"""First major version of transformers with which mmpretrain's multimodal models fail to import."""


def breaks_multimodal_models() -> bool:
    """Return whether mmpretrain would import multimodal models that do not import here."""
    try:
        version = metadata.version("transformers")
        metadata.version("pycocotools")
        metadata.version("mmpretrain")
    except metadata.PackageNotFoundError:
        return False
    return int(version.split(".")[0]) >= MULTIMODAL_LIMIT


def leave_out_multimodal_models() -> None:
    """Let mmpretrain be imported beside transformers 5, without its multimodal models.

    mmpretrain 1.2 imports them with all its other models where transformers and pycocotools
    (which mmdet brings) are installed, whatever their version, so the import of any model fails.
    Where one of the two is missing, placeholders that ask for it stand in; this function brings
    these about. In other environments it does nothing and imports nothing.
    """
    if breaks_multimodal_models():
        dependency: Any = import_module("mmpretrain.utils.dependency")
        dependency.WITH_MULTIMODAL = False
