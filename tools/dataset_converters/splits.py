"""Splits of a data set, and the files that they need."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from mim_plugins.file_names import printable

_SHOWN = 3


class Split(NamedTuple):
    """Images of one split."""

    name: str
    paths: list[str]
    official: int | None = None
    note: str = ""


class UnusableError(Exception):
    """The data set lacks something; the message includes the remedy."""


def shown(names: list[str]) -> str:
    """Format the first names of a list."""
    return ", ".join(map(printable, names[:_SHOWN]))


def require_files(root: Path, names: Iterable[str], remedy: str) -> None:
    """Check that files or folders exist in ``root``.

    Raises:
        UnusableError: one does not exist; the message ends with ``remedy``.
    """
    missing = [name for name in names if not (root / name).exists()]
    if missing:
        raise UnusableError(f"'{root}' has no {', '.join(missing)}: {remedy}")


def read_labels(file: Path, folder: Path, classes: int) -> list[str]:
    """Return the paths in a list of lines ``NAME LABEL``, with labels below ``classes``."""
    from mim_plugins.datasets.image_lists import read_labeled_list  # imports PyTorch

    return [str(folder / name) for name, _ in read_labeled_list(file, classes)]


def check_order(file: Path, classes: Sequence[str]) -> None:
    """Compare a list of lines ``LETTER/CLASS/IMAGE LABEL`` with the official order of the classes.

    Raises:
        UnusableError: a class has another label.
    """
    from mim_plugins.datasets.image_lists import read_labeled_list

    labels = {name: label for label, name in enumerate(classes)}
    for name, label in read_labeled_list(file, len(classes)):
        folder = name.strip("/").partition("/")[2].rpartition("/")[0]
        if labels.get(folder, label) != label:
            raise UnusableError(
                f"'{file}' gives '{printable(name)}' the label {label}, but {folder} has the label"
                f" {labels[folder]} in the official list; use the official files"
            )


def class_folders(folder: Path) -> dict[str, list[str]]:
    """Return the images of each class folder, in the sorted order that numbers the classes."""
    from mim_plugins.datasets.images_by_class import images_by_class

    classes, scan = images_by_class(folder)
    if scan.left_out:
        print(f"left out of '{printable(folder)}': {scan.describe_left_out()}")
    return {name: [str(folder / name / path) for path in paths] for name, paths in classes.items()}
