"""Adaptation of mmpretrain to newer versions of other packages."""

from importlib import import_module, metadata
from typing import Any

MULTIMODAL_LIMIT = 5
"""Major version of transformers from which mmpretrain's multimodal models fail to import."""


def breaks_multimodal_models() -> bool:
    """Return whether mmpretrain would try to import multimodal models and fail."""
    try:
        version = metadata.version("transformers")
        metadata.version("pycocotools")
        metadata.version("mmpretrain")
    except metadata.PackageNotFoundError:
        return False
    return int(version.split(".")[0]) >= MULTIMODAL_LIMIT


def leave_out_multimodal_models() -> None:
    """Disable mmpretrain's multimodal models if transformers 5 or newer is installed.

    mmpretrain 1.2 imports them with its other models if transformers and pycocotools (a dependency
    of mmdet) are installed, in any version; the import of every model then fails. If a package is
    missing, mmpretrain defines placeholders, which this function selects. In other environments it
    neither changes nor imports anything.
    """
    if breaks_multimodal_models():
        dependency: Any = import_module("mmpretrain.utils.dependency")
        dependency.WITH_MULTIMODAL = False
