"""Replacement of mmpretrain's data sets of class folders with those of this package."""

from typing import Any

from ..archives import is_url
from ..config import type_name
from ..registry import SCOPE
from ..transforms.regular_file_backend import REGULAR_FILE_BACKEND

_DROP_INS = dict(CustomDataset="mim_plugins.LabeledImageFolder", ImageNet="mim_plugins.ImageNet")
READ_ARCHIVES = ("CustomDataset", "ImageNet", "LabeledImageFolder", "UnlabeledImageFolder")
"""Types of data sets whose ``data_root`` may be an archive, with the drop-ins."""
_OWN = ("INaturalist", "ImageNet", "LabeledImageFolder", "Places365", "UnlabeledImageFolder")
# mmpretrain's default, so the same files are read
_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif")


def use_drop_in(dataset: dict, default_scope: str | None = "mmpretrain") -> str | None:
    """Change the config of a data set of class folders to :class:`LabeledImageFolder`'s.

    mmpretrain's ``CustomDataset`` and ``ImageNet`` accept the same arguments. However, they list
    images again at every link to a folder above, and they count hidden folders as classes. Data
    sets in remote storage and other types are not changed.

    Args:
        dataset: config of one data set, which is changed.
        default_scope: where a type without scope is looked up.

    Returns:
        The new type, or None if nothing changed.
    """
    given = dataset.get("type")
    scope, name = _scope_and_name(given, default_scope)
    # a name that this package's scope lacks is looked up in mmpretrain
    if scope not in ("mmpretrain", SCOPE) or name not in _DROP_INS or _is_remote(dataset):
        return None
    if given == _DROP_INS[name]:
        return None
    dataset["type"] = _DROP_INS[name]
    dataset.setdefault("extensions", _SUFFIXES)
    return dataset["type"]


def read_regular_files(dataset: dict) -> None:
    """Make mmcv's ``LoadImageFromFile`` reject pipes and devices, which a list may contain.

    Only data sets of this package are changed, because their workers have imported its backend.
    """
    if type_name(dataset.get("type")) not in _OWN or _is_remote(dataset):
        return
    for step in dataset.get("pipeline") or ():
        if type_name(step.get("type")) == "LoadImageFromFile" and not _has_backend(step):
            step["backend_args"] = dict(backend=REGULAR_FILE_BACKEND)


def _has_backend(step: dict) -> bool:
    return bool(step.get("backend_args") or step.get("file_client_args"))


def _scope_and_name(given: Any, default_scope: str | None) -> tuple[str | None, str]:
    if isinstance(given, type):
        return given.__module__.partition(".")[0], given.__name__
    scope, _, name = str(given).rpartition(".")
    return scope.partition(".")[0] or default_scope, name  # also for a path of modules


def _is_remote(dataset: dict) -> bool:
    places = [dataset.get(key) for key in ("data_root", "data_prefix", "ann_file")]
    places += [path for place in places if isinstance(place, dict) for path in place.values()]
    return any(isinstance(place, str) and is_url(place) for place in places)
