"""Text files of one name per line that the tools write."""

from collections.abc import Iterable
from pathlib import Path

from mim_plugins.cli.output_place import prepare_output
from mim_plugins.errors import ConfigError
from mim_plugins.file_names import printable, write_lines


def prepare_list(path: Path) -> None:
    """Create the folder of a list, and check that the list can be written there.

    Raises:
        ConfigError: it cannot.
    """
    if path.is_dir() or not _is_special(path):
        prepare_output(path, replace=True)


def write_list(path: Path, lines: Iterable[str]) -> None:
    """Write a list atomically, see :func:`write_lines`; a failure leaves an earlier file unchanged.

    Raises:
        ConfigError: it cannot be written.
    """
    from mim_plugins.checkpoints import write_atomically  # imports PyTorch

    prepare_list(path)
    try:
        if _is_special(path):
            write_lines(path, lines)
        else:
            write_atomically(path, lambda partial: write_lines(partial, lines))
    except OSError as error:
        raise ConfigError(
            f"cannot write '{printable(path)}' ({error.strerror}): give another file, or check disk"
            " space and permissions"
        ) from error


def _is_special(path: Path) -> bool:
    """Return whether a path is a link, pipe or device, such as /dev/stdout, which must stay one."""
    return path.is_symlink() or (path.exists() and not path.is_file())
