"""Data sets of this package in place of mmpretrain's that walk through folders by themselves."""

from typing import Any

from ..config import type_name
from ..registry import SCOPE
from ..transforms.regular_file_backend import REGULAR_FILE_BACKEND

_DROP_INS = dict(CustomDataset="mim_plugins.LabeledImageFolder", ImageNet="mim_plugins.ImageNet")
_OWN = ("INaturalist", "ImageNet", "LabeledImageFolder", "Places365", "UnlabeledImageFolder")
# mmpretrain's default, so that the same files are read
_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif")


def use_drop_in(dataset: dict, default_scope: str | None = "mmpretrain") -> str | None:
    """Change the config of a data set of class folders to :class:`LabeledImageFolder`'s.

    mmpretrain's ``CustomDataset`` and ``ImageNet`` take the same arguments, but list images again
    at every link to a folder above, and number hidden folders as classes. Folders of remote
    storage stay with them, as do other types.

    Args:
        dataset: config of one data set, which is changed.
        default_scope: where a type without scope is looked up.

    Returns:
        The new type, or None if nothing changed.
    """
    given = dataset.get("type")
    scope, name = _scope_and_name(given, default_scope)
    # what this package's scope lacks is looked up in mmpretrain
    if scope not in ("mmpretrain", SCOPE) or name not in _DROP_INS or _is_remote(dataset):
        return None
    if given == _DROP_INS[name]:
        return None
    dataset["type"] = _DROP_INS[name]
    dataset.setdefault("extensions", _SUFFIXES)
    return dataset["type"]


def read_regular_files(dataset: dict) -> None:
    """Let mmcv's ``LoadImageFromFile`` refuse pipes and devices, which a list may name.

    Only data sets of this package are changed: a worker that imports nothing else has its backend.
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
    return scope.partition(".")[0] or default_scope, name  # also of a path of modules


def _is_remote(dataset: dict) -> bool:
    places = [dataset.get(key) for key in ("data_root", "data_prefix", "ann_file")]
    places += [path for place in places if isinstance(place, dict) for path in place.values()]
    return any(isinstance(place, str) and "://" in place for place in places)
