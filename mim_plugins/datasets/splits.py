"""Names of the splits of a data set, and the folders that are splits."""

import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ..archives.hugging_face_archive import canonical_split
from .image_files import IMAGE_SUFFIXES, is_file, is_folder, is_hidden

SPLITS = ("train", "val", "test")
_WORDS = dict(training="train", valid="val", validation="val")
_NAME = re.compile(
    r"(?P<before>(?:.*[._-])?)(?P<word>train|training|val|valid|validation|test)\d*"
    r"(?:[._-]?(?:images?|imgs?))?\d*(?:[._-]\d+)*(?:[._-]of[._-]\d+)?(?:-[0-9a-f]{16})?",
    re.DOTALL,
)
_BESIDE_SPLITS = ("train", "test", "val", "dev", "eval", "work_dirs")  # beginnings of names
_FEWEST_CLASSES = 4  # beside a class with the name of a split


def normal_split(split: str) -> str:
    """Return the normal form of a split or folder, such as ``train`` for ``./train/``."""
    path = posixpath.normpath(split)
    return "" if path == "." else path


class SplitImages(NamedTuple):
    """Images of a split, by their first folders."""

    indices: list[int]
    """Their numbers."""
    own: list[str]
    """Folders that stand for the split, which contain them, sorted."""
    others: list[str]
    """Folders of other splits, which are left out for lack of own ones, sorted."""


def is_split(name: str) -> bool:
    """Return whether a folder may be a split by its name."""
    return split_in_name(name) is not None


def split_in_name(name: str) -> str | None:
    """Return the split that the name of a folder, or of an archive without suffix, stands for.

    Its last word is ``train``, ``training``, ``val``, ``valid``, ``validation`` or ``test`` in any
    case; ``images`` and numbers may follow, as in ``train2017``, ``ILSVRC2012_img_train``,
    ``test_images`` and ``train-00000-of-00010``. Names of two splits, such as ``train_val``, stand
    for none, like those with other last words, such as ``train_masks``.
    """
    found = _NAME.fullmatch(name.lower())
    if found is None:
        return None
    words = {word.rstrip("0123456789") for word in re.split("[._-]", found["before"])}
    splits = {_WORDS.get(word, word) for word in (words | {found["word"]})} & set(SPLITS)
    return splits.pop() if len(splits) == 1 else None


def images_of_split(paths: Sequence[str], split: str) -> SplitImages:
    """Return the images in folders that stand for a split.

    Without such folders, these are the images outside the folders of other splits.
    """
    names = splits_among(paths)
    own = [name for name in names if split_in_name(name) == canonical_split(split)]
    others = [] if own else names
    tops = [path.partition("/")[0] if "/" in path else "" for path in paths]
    indices = [n for n, top in enumerate(tops) if (top in own if own else top not in others)]
    return SplitImages(indices, own, others)


def class_among(
    names: Collection[str], has_images: Callable[[str], bool], has_folders: Callable[[str], bool]
) -> str | None:
    """Return the folder that is a class, although it has the name of a split.

    Such a folder, like the trains of CIFAR-100, contains images and no folders, at least four
    folders beside it contain images, and the name of none begins like that of a split.

    Args:
        names: names of all folders, side by side.
        has_images: whether a folder directly contains images.
        has_folders: whether a folder contains folders.

    Returns:
        None if there is no such folder.
    """
    splits = list(filter(is_split, names))
    others = [name for name in names if not is_split(name)]
    if len(splits) != 1 or any(name.lower().startswith(_BESIDE_SPLITS) for name in others):
        return None
    classes = list(islice(filter(has_images, others), _FEWEST_CLASSES))
    is_class = (
        len(classes) == _FEWEST_CLASSES and has_images(splits[0]) and not has_folders(splits[0])
    )
    return splits[0] if is_class else None


def class_of_paths(paths: Iterable[str]) -> str | None:
    """Return :func:`class_among` the first folders of the paths of images."""
    parts = [path.split("/", 2) for path in paths]
    with_images = {each[0] for each in parts if len(each) == 2}
    with_folders = {each[0] for each in parts if len(each) == 3}
    return class_among(
        with_images | with_folders, with_images.__contains__, with_folders.__contains__
    )


def class_in_folder(folder: str | Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str | None:
    """Return :func:`class_among` the folders in a folder, reading few entries of each."""

    def is_image(entry: os.DirEntry[str]) -> bool:
        return entry.name.lower().endswith(tuple(suffixes)) and is_file(entry)

    def has_any(is_sought: Callable[[os.DirEntry[str]], bool]) -> Callable[[str], bool]:
        return lambda name: any(_names_in(os.path.join(folder, name), is_sought))

    names = list(_names_in(os.fspath(folder), is_folder))
    return class_among(names, has_any(is_image), has_any(is_folder))


def splits_among(paths: Iterable[str]) -> list[str]:
    """Return the names of those first folders of the paths of images that are splits, sorted."""
    paths = list(paths)
    tops = {path.partition("/")[0] for path in paths if "/" in path}
    return [] if class_of_paths(paths) else sorted(filter(is_split, tops))


def _names_in(folder: str, is_sought: Callable[[os.DirEntry[str]], bool]) -> Iterator[str]:
    """Yield the names of visible entries, none if the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_hidden(entry.name) and is_sought(entry):
                    yield entry.name
    except OSError:
        return
