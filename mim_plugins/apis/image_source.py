"""Images of any kind and number, by index."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from ..archives import contains_file
from ..datasets.image_files import IMAGE_SUFFIXES
from ..datasets.image_places import images_at
from .pixels import file_name, is_one_image


class ImageSource(Dataset):
    """Sequence of images with names.

    Args:
        images: an image or a sequence of images, see :data:`Images`; paths may also be folders of
            any depth, archives, and text files (``.txt``) of one path per line, relative to their
            folder. An object with ``names`` and ``read(index)`` gives the contents of files.
        suffixes: suffixes of the images in folders.

    Raises:
        DataNotFoundError: a folder cannot be read, or contains no image.
        ValueError: there is no image.
    """

    def __init__(self, images: Any, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> None:
        self._archive = images if hasattr(images, "names") and hasattr(images, "read") else None
        self._images: Sequence = () if self._archive is not None else _listed(images, suffixes)
        if not len(self):
            raise ValueError("images: there is none; give at least one image")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images if self._archive is None else self._archive.names)

    def name(self, index: int) -> str:
        """Return the name of an image's file, or ``images[INDEX]``, in one line."""
        if self._archive is not None:
            return file_name(self._archive.names[index])
        return file_name(self._images[index]) or f"images[{index}]"

    def contains(self, file: Path) -> bool:
        """Return whether a file is one of the images, or an archive that contains some."""
        return self._archive is None and contains_file(
            filter(None, map(file_name, self._images)), file
        )

    def __getitem__(self, index: int) -> Any:
        """Return an image as :func:`to_pixels` expects it."""
        return self._images[index] if self._archive is None else self._archive.read(index)


def _listed(images: Any, suffixes: Sequence[str]) -> Sequence:
    if isinstance(images, (np.ndarray, Tensor)):
        return images if images.ndim >= 4 else [images]  # type: ignore[return-value]
    found: list = []
    each: Iterable = [images] if is_one_image(images) else images
    for image in each:
        is_place = isinstance(image, (str, os.PathLike))
        found += images_at(os.path.expanduser(os.fspath(image)), suffixes) if is_place else [image]
    return found
