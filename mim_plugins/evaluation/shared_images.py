"""Images that two data sets have in common."""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any

from ..archives.addresses import join_address, split_address
from ..datasets.wrappers import base_sample


def count_shared_images(references: Any, queries: Any) -> int:
    """Return the number of queries whose file, or member of an archive, is also a reference.

    Links are resolved. Samples that come from no file are not compared.

    Args:
        references: data set, possibly in wrappers.
        queries: another one.
    """
    resolve = _Resolver()
    known = {resolve(path) for path in _paths(references)}
    return sum(resolve(path) in known for path in _paths(queries))


def _paths(dataset: Any) -> Iterator[str]:
    for index in range(len(dataset)):
        base, own = base_sample(dataset, index)
        read = getattr(base, "get_data_info", None)
        path = read(own).get("img_path") if read is not None else None
        if path:
            yield os.fspath(path)


class _Resolver:
    """Resolution of the links in paths, with one look at each folder."""

    def __init__(self) -> None:
        self._folder = cache(_resolve_folder)

    def __call__(self, path: str) -> str:
        parts = split_address(path)
        if parts is not None:
            return join_address(self(parts[0]), parts[1])
        name = os.path.basename(path)
        folder, links = self._folder(os.path.dirname(path))
        return os.path.realpath(path) if name in links else os.path.join(folder, name)


def _resolve_folder(folder: str) -> tuple[str, frozenset[str]]:
    """Return a folder without links, and the names of the links in it."""
    try:
        with os.scandir(folder or ".") as entries:
            links = frozenset(entry.name for entry in entries if entry.is_symlink())
    except OSError:  # a URL, or a folder that is gone
        return folder, frozenset()
    return os.path.realpath(folder), links
