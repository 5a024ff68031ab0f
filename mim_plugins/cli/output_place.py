"""Places of files that commands write, checked before the work begins."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from ..archives import split_address
from ..errors import ConfigError
from ..file_names import printable


def require_output(
    option: str,
    path: str | Path,
    replace: bool,
    inputs: Iterable[str | None] = (),
    is_folder: bool = False,
) -> None:
    """Call :func:`prepare_output`; an error ends the program in one line that names the option."""
    try:
        prepare_output(Path(path), replace, inputs, is_folder)
    except ConfigError as error:
        sys.exit(f"error: {option}: {error}")


def prepare_output(
    path: Path, replace: bool, inputs: Iterable[str | None] = (), is_folder: bool = False
) -> None:
    """Create the folder of an output, and check that the output can be written there.

    Args:
        path: file to write.
        replace: whether it may exist.
        inputs: files and addresses that the command reads; others, such as names of configs, are
            ignored.
        is_folder: the output is a folder of files instead.

    Raises:
        ConfigError: there is something else at ``path``, it is one of the inputs, it exists and
            ``replace`` is False, or its folder cannot be created or is read-only.
    """
    kind = "folder" if is_folder else "file"
    try:
        fault = _fault(path, is_folder)
        if not fault and _is_input(path, inputs):
            raise ConfigError(f"'{printable(path)}' is read by this command: give another {kind}")
        if not fault and not replace and os.path.lexists(path):
            raise ConfigError(
                f"'{printable(path)}' exists already: give another {kind}, or overwrite it with"
                " --force"
            )
        if not fault:
            folder = path if is_folder and path.exists() else path.parent
            folder.mkdir(parents=True, exist_ok=True)
            fault = "" if os.access(folder, os.W_OK | os.X_OK) else "its folder is read-only"
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if fault:
        raise ConfigError(
            f"cannot write '{printable(path)}' ({fault}): give another {kind}, or check permissions"
        )


def _fault(path: Path, is_folder: bool) -> str:
    """Return what is at a path instead of the output, or ``""``."""
    if path.is_dir():
        return "" if is_folder else "it is a folder"
    if not path.exists():
        return "it is a broken link" if is_folder and path.is_symlink() else ""
    if is_folder:
        return "it is no folder"
    return "" if path.is_file() else "it is a pipe or device"


def _is_input(path: Path, inputs: Iterable[str | None]) -> bool:
    places = ((split_address(each) or (each,))[0] for each in inputs if each)
    return path.exists() and any(
        os.path.exists(place) and os.path.samefile(place, path) for place in places
    )
