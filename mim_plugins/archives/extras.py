"""Packages that only some formats need."""

from importlib import import_module
from typing import Any

from ..errors import ArchiveError
from ..file_names import printable


def import_extra(module: str, extra: str, path: str) -> Any:
    """Import a package of an extra.

    Args:
        module: module to import.
        extra: extra of this package that contains it.
        path: archive that needs it, for the message.

    Raises:
        ArchiveError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ArchiveError(
            f"'{printable(path)}' needs the package {package} ({error}): pip install"
            f" 'mim_plugins[{extra}]'"
        ) from error
