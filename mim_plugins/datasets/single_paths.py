"""Check of data set arguments that must be a single path."""

import os
from typing import Any


def check_single_paths(name: str, **paths: Any) -> None:
    """Check the arguments of a data set that must be one path each.

    Args:
        name: type of the data set, for the message.
        **paths: arguments by name; a dict, which ``data_root`` cannot be, contains one path per
            entry.

    Raises:
        ValueError: an argument is a list, or no path.
    """
    for argument, value in paths.items():
        has_entries = isinstance(value, dict) and argument != "data_root"
        for path in value.values() if has_entries else [value]:
            if path is not None and not isinstance(path, (str, os.PathLike)):
                raise ValueError(
                    f"{name}: {argument}={path!r} must be one path. {concat_remedy(name, path)}"
                )


def concat_remedy(name: str, folders: Any) -> str:
    """Return a sentence about reading several folders."""
    several = isinstance(folders, (list, tuple)) and len(folders) > 1
    shown = list(folders[:2]) if several else ["A", "B"]
    parts = ", ".join(f"dict(type='{name}', data_root={str(root)!r}, ...)" for root in shown)
    return (
        "To read several folders, define one data set per folder in the config:"
        f" dataset=dict(type='ConcatDataset', datasets=[{parts}])"
    )
