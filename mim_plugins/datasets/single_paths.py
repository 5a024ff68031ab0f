"""Checks of data set arguments that must be a single path."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from ..archives import HUB, is_url
from ..errors import ConfigError
from ..file_names import printable


def check_single_paths(name: str, **paths: Any) -> None:
    """Check the arguments of a data set that must be one path each.

    Args:
        name: type of the data set, for the message.
        **paths: arguments by name; a dict, which ``data_root`` cannot be, contains one path per
            entry.

    Raises:
        ValueError: an argument is a list, or no path.
    """
    for argument, path in _entries(paths):
        if path is not None and not isinstance(path, (str, os.PathLike)):
            raise ValueError(
                f"{name}: {argument}={path!r} must be one path. {concat_remedy(name, path)}"
            )


def check_local_paths(name: str, hub: Sequence[str] = ("data_root",), **paths: Any) -> None:
    """Check that arguments of a data set that lists files on a disk are no URLs.

    Args:
        name: type of the data set, for the message.
        hub: arguments that may be a data set of Hugging Face.
        **paths: arguments by name.

    Raises:
        ConfigError: an argument is a URL.
    """
    for argument, path in _entries(paths):
        allowed = argument in hub
        if isinstance(path, str) and (is_url(path) or (path.startswith(HUB) and not allowed)):
            on_hub = " or hf://USER/NAME" if allowed else ""
            raise ConfigError(
                f"{name}: {argument}='{printable(path)}' must be a path on a disk{on_hub}: download"
                " the data or mount the storage, or list the URLs of the images in ann_file"
            )


def _entries(paths: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for argument, value in paths.items():
        has_entries = isinstance(value, dict) and argument != "data_root"
        for path in value.values() if has_entries else [value]:
            yield argument, path


def concat_remedy(name: str, folders: Any) -> str:
    """Return a sentence about reading several folders."""
    several = isinstance(folders, (list, tuple)) and len(folders) > 1
    shown = list(folders[:2]) if several else ["A", "B"]
    parts = ", ".join(f"dict(type='{name}', data_root={str(root)!r}, ...)" for root in shown)
    return (
        "To read several folders, define one data set per folder in the config:"
        f" dataset=dict(type='ConcatDataset', datasets=[{parts}])"
    )
