"""Transforms that load images as BGR."""

from collections.abc import Iterator
from typing import Any

from mmengine.registry import TRANSFORMS as ROOT

from ..config import resolve_type, type_name
from ..registry import TRANSFORMS

_NAMES = ("LoadImage", "LoadImageFromFile", "LoadRandomResizedCrop")
_PACKAGES = ("mmcv", "mim_plugins")
_METHODS = ("__call__", "transform", "decode")
_IN_ORDER_OF_FILE = "tifffile"  # the only backend of mmcv that does not return BGR


def returns_bgr(kind: Any, settings: Any) -> bool:
    """Return whether a transform is known to load images as BGR.

    These are the loaders of mmcv, except with the backend ``tifffile``, and of this package, and
    subclasses without methods that load. Loaders of other libraries return bands, videos or RGB.
    Packages are not imported, so unregistered names count as what they are in mmcv and here.

    Args:
        kind: class of the transform or what ``type`` in its config contains.
        settings: transform or its config.
    """
    key = "imdecode_backend"
    given = settings.get(key) if isinstance(settings, dict) else getattr(settings, key, None)
    if given == _IN_ORDER_OF_FILE:
        return False
    if not isinstance(kind, str):
        return _decodes_bgr(resolve_type(kind, TRANSFORMS))
    found = list(_registered(kind))
    return all(map(_decodes_bgr, found)) if found else type_name(kind) in _NAMES


def _registered(name: str) -> Iterator[Any]:
    """Yield the classes that a name in a config may mean, of packages that are already imported."""
    scope, _, short = name.rpartition(".")
    children = [child for key, child in ROOT.children.items() if scope in ("", key)]
    for registry in (*children, ROOT):
        if short in registry.module_dict:
            yield registry.module_dict[short]


def _decodes_bgr(kind: Any) -> bool:
    for each in getattr(kind, "__mro__", ()):
        if each.__module__.partition(".")[0] in _PACKAGES and each.__name__ in _NAMES:
            return True
        if any(name in vars(each) for name in _METHODS):
            return False  # its method may reverse the colors
    return False
