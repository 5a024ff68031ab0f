"""Category names in a COCO annotation file: fast reading and check."""

import json
import mmap
import re
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..evaluation.class_names import class_difference
from .head_classes import has_base_named

_FIRST_WINDOW = 2**16
_KEY = re.compile(rb'"categories"\s*:\s*(?=\[)')


def check_categories(where: str, dataset: Any, classes: tuple[str, ...]) -> None:
    """Compare the categories found by a COCO data set with its classes.

    MMDetection numbers the categories that it finds, in the order of the file, so a missing one
    shifts the labels of all later ones.

    Args:
        where: config field and file, for messages.
        dataset: data set without wrappers.
        classes: names of its classes, empty if unknown.

    Raises:
        ConfigError: they differ.
    """
    ids, file = getattr(dataset, "cat_ids", None), getattr(dataset, "ann_file", None)
    if not classes or not isinstance(ids, (list, tuple)) or not isinstance(file, str):
        return
    # LVIS is numbered by category ids, independent of class names
    known = {} if has_base_named(dataset, "LVISV05Dataset") else read_category_names(file) or {}
    found = tuple(known.get(each, str(each)) for each in ids)
    difference = class_difference({"categories": classes}, {"categories": found})
    if difference and (known or len(ids) != len(classes)):
        raise ConfigError(
            f"{where} has {difference}: its labels would mean other classes; set the data"
            " set's metainfo=dict(classes=...) to the file's categories in the file's order, and"
            " the heads' num_classes to their number"
        )


def read_category_names(file: str | Path) -> dict[int, str] | None:
    """Return the category names by id, in the order of the file; None if they are not found.

    Parsing all annotations of a large data set takes minutes and gigabytes, the categories alone
    milliseconds.
    """
    if not Path(file).is_file() or not Path(file).stat().st_size:
        return None
    with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for match in _KEY.finditer(data):
            names = _parse(data, match.end())
            if names is not None:
                return names
    return None


def _parse(data: mmap.mmap, start: int) -> dict[int, str] | None:
    size = _FIRST_WINDOW
    while True:
        text = data[start : start + size].decode("utf-8", errors="ignore")
        try:
            categories, _ = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError:
            if start + size >= len(data):
                return None
            size *= 4
            continue
        try:
            return {int(each["id"]): str(each["name"]) for each in categories}
        except (KeyError, TypeError, ValueError):  # a different list under the same key
            return None
