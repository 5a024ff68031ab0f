"""Images of class folders."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataNotFoundError
from ..file_names import printable
from .image_files import BROKEN, IMAGE_SUFFIXES, ImageScan, scan_images

BESIDE = "images beside the class folders"


def images_by_class(
    folder: str | Path, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> tuple[dict[str, list[str]], ImageScan]:
    """Return the sorted paths of each class folder's images, and the complete scan.

    Classes are the sub-folders of ``folder`` in sorted order; their paths are relative to them.
    Images beside classes with images are left out.

    Raises:
        DataNotFoundError: see :func:`scan_images`, or a class folder is a broken link.
        ValueError: links place one folder into two classes.
    """
    scan = scan_images(folder, suffixes)
    classes = classes_of_scan(folder, scan, suffixes)
    start = len(os.path.join(folder, ""))
    beside = [path for path in scan.paths if os.sep not in path[start:]]
    if beside and any(classes.values()):
        scan = scan._replace(left_out=scan.left_out | {BESIDE: beside})
    return classes, scan


def classes_of_scan(
    folder: str | Path, scan: ImageScan, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> dict[str, list[str]]:
    """Return the images of each class folder from the scan of ``folder`` for ``suffixes``.

    See :func:`images_by_class`, also for the errors.
    """
    _check_classes(os.fspath(folder), scan, tuple(suffixes))
    classes: dict[str, list[str]] = {name: [] for name in scan.sub_folders}
    for path in scan.paths:
        name, separator, rest = os.path.relpath(path, folder).partition(os.sep)
        if separator:
            classes[name].append(rest)
    return classes


def _check_classes(folder: str, scan: ImageScan, suffixes: tuple[str, ...]) -> None:
    def class_of(path: str) -> str:
        return os.path.relpath(path, folder).partition(os.sep)[0]

    for path in scan.left_out.get(BROKEN, ()):
        is_at_the_top = class_of(path) == os.path.basename(path)
        if is_at_the_top and not path.lower().endswith(suffixes):
            raise DataNotFoundError(
                f"'{printable(path)}' is a broken link: without this class folder, the labels of"
                " all later ones would be shifted. Restore its target, or remove the link"
            )
    for path, first in scan.read_as.items():
        if class_of(path) != class_of(first):
            raise ValueError(
                f"'{printable(path)}' and '{printable(first)}' are the same folder, so its images"
                f" would belong to two classes of '{printable(folder)}'; remove one of the links"
            )
