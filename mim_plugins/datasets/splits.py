"""Splits of a data set among names side by side: folders, archives, or folders in archives."""

import logging
import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from mmengine.logging import print_log

from ..errors import DataNotFoundError
from ..file_names import printable
from .image_files import IMAGE_SUFFIXES, is_file, is_folder, is_hidden

SPLITS = ("train", "val", "test")
_WORDS = dict(train="train", training="train", val="val", valid="val", validation="val")
_WORDS |= dict(test="test", testing="test")
_HASH = re.compile(r"(?<![^\W_])[0-9a-f]{8,}(?![^\W_])")
_FEWEST_CLASSES = 4  # beside a class whose name contains that of a split
_SHOWN = 5  # names in a line


def normal_split(split: str) -> str:
    """Return the normal form of a split or folder, such as ``train`` for ``./train/``."""
    path = posixpath.normpath(split)
    return "" if path == "." else path


def plain_split(name: str) -> str | None:
    """Return the split that is the whole name, such as ``val`` for ``Validation``, if any."""
    return _WORDS.get(name.lower())


def split_in_name(name: str) -> str | None:
    """Return the split that the name of a folder, or of an archive without suffix, stands for.

    One of its words is ``train``, ``training``, ``val``, ``valid``, ``validation``, ``test`` or
    ``testing`` in any case. Words end at numbers, signs and before capital letters, as in
    ``train2017``, ``ILSVRC2012_img_train`` and ``trainA``. A name of two splits stands for none.
    """
    splits = {_WORDS[word] for word in _words(name) if word in _WORDS}
    return splits.pop() if len(splits) == 1 else None


def choose_split(
    names: Collection[str],
    wanted: str,
    is_class: Callable[[str], bool],
    where: str,
    prefix: str = "",
) -> list[str] | None:
    """Return those of the names side by side that are a split, or None if they are no splits.

    A name that is that of the split is chosen alone, unless it is :func:`class_among` the names.
    Otherwise they are splits if one of them is that of another split, or if two stand for different
    splits. All that stand for the split must then be alike, except for numbers and single letters.
    A warning lists the names that are left out.

    Args:
        names: names of folders or archives that contain images, ``""`` for images beside them.
        wanted: the split, or another folder.
        is_class: whether a folder contains images and no folders, see :func:`class_among`.
        where: the data, for messages.
        prefix: folders around the names.

    Raises:
        DataNotFoundError: none of the splits is the one wanted, or several may be it.
    """
    split, names = split_in_name(wanted), sorted(names)
    own = [name for name in names if split and split_in_name(name) == split]
    exact = [name for name in own if plain_split(name)]
    if exact and (found := class_among(names, is_class)):
        _warn(
            f"'{found}' is read with the {len(names) - 1} others in '{printable(where)}', because"
            " it seems to be a class; to read it alone, give its path as data"
        )
        return None
    if exact:
        own = [wanted] if wanted in exact else exact
    elif not are_splits(names, split):
        return None
    elif len({*map(_pattern, own)}) != 1 or not (
        are_clear(names, split) or _pattern(own[0]).startswith("*")
    ):
        example = min(own or names, key=lambda name: (not name, split_in_name(name) or ""))
        raise DataNotFoundError(
            f"'{printable(where)}' has no {'clear ' if own else ''}split '{printable(wanted)}', but"
            f" {_list(own or names)}: give the path of one as data, or"
            f" data_prefix='{printable(prefix + example)}', or data_prefix='' to read all"
            " (--cfg-options train_dataloader.dataset.data_prefix.img_path=)"
        )
    others = [name for name in names if name not in own and not (exact and plain_split(name))]
    if others:
        _warn(f"'{printable(where)}': read as {split}: {_list(own)}; left out: {_list(others)}")
    return own


def are_splits(names: Collection[str], wanted: str | None = None) -> bool:
    """Return whether names side by side are splits of one data set, see :func:`choose_split`.

    Beside four names without a split, as names of classes are, one must be that of another split
    than the one wanted, or two must differ in nothing but the split.
    """
    splits = [split_in_name(name) for name in names]
    are_few = splits.count(None) < _FEWEST_CLASSES
    return are_clear(names, wanted) or (are_few and len({*splits} - {None}) > 1)


def are_clear(names: Collection[str], wanted: str | None) -> bool:
    """Return whether one is the name of another split, or two differ in nothing but the split."""
    found = {(_pattern(name), split) for name in names if (split := split_in_name(name))}
    is_plain = any(plain_split(name) not in (None, wanted) for name in names)
    return is_plain or len(dict(found)) < len(found)


def class_among(names: Collection[str], is_class: Callable[[str], bool]) -> str | None:
    """Return the name of a class that is exactly that of the training split, if any.

    Such a folder, like the trains of CIFAR-100, contains images and no folders, like at least four
    folders beside it, and there are no other splits.
    """
    exact = [name for name in names if plain_split(name)]
    if len(exact) != 1 or {*map(split_in_name, names)} != {None, "train"}:
        return None
    others = (name for name in names if split_in_name(name) is None)
    found = list(islice(filter(is_class, others), _FEWEST_CLASSES))
    return exact[0] if len(found) == _FEWEST_CLASSES and is_class(exact[0]) else None


class Level(NamedTuple):
    """Folders side by side that contain images."""

    shared: list[str]
    """Folders around them, from the outermost."""
    names: set[str]
    """Their names, ``""`` for images beside them."""
    classes: set[str]
    """Those with images and no folders."""


def split_level(paths: Collection[str]) -> Level:
    """Return the folders of images that may be splits.

    These are the first ones below those that all paths share, or else the innermost shared one
    that has the name of a split.
    """
    shared = shared_folders(paths)
    start = len(as_prefix(shared))
    parts = [path[start:].split("/", 2) for path in paths]
    deep = {each[0] for each in parts if len(each) == 3}
    flat = {each[0] for each in parts if len(each) == 2}
    names = deep | flat | {"" for each in parts if len(each) == 1}
    plain = [n for n, part in enumerate(shared) if plain_split(part)]
    if plain and not are_splits(names):
        return Level(shared[: plain[-1]], {shared[plain[-1]]}, set())
    return Level(shared, names, flat - deep)


def splits_among(paths: Collection[str]) -> list[str]:
    """Return the names of those folders of the paths of images that are splits, sorted."""
    _, names, classes = split_level(paths)
    if not are_splits(names) or class_among(names, classes.__contains__):
        return []
    return sorted(filter(split_in_name, names))


def warn_of_other_splits(paths: Iterable[str], wanted: str, where: str) -> None:
    """Log a warning if images in folders of other splits, at any depth, are read.

    Args:
        paths: paths of the images that are read.
        wanted: split or folder; no split excludes another if ``""``.
        where: the data, for the message.
    """
    folders = {part for path in {*map(posixpath.dirname, paths)} for part in path.split("/")}
    split = split_in_name(posixpath.basename(wanted))
    others = sorted(name for name in folders if plain_split(name) not in (None, split))
    if split and others:
        _warn(
            f"'{printable(where)}': images in folders of other splits than {split} are read too"
            f" ({_list(others)}); give the folder to read if they should not be"
        )


def class_in_folder(folder: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str | None:
    """Return :func:`class_among` the folders in a folder, reading few of them."""

    def is_class(name: str) -> bool:
        entries = _entries(os.path.join(folder, name))
        images = (each for each in entries if each.name.lower().endswith(tuple(suffixes)))
        return any(map(is_file, images)) and not any(map(is_folder, entries))

    return class_among([each.name for each in _entries(folder) if is_folder(each)], is_class)


def shared_folders(paths: Collection[str]) -> list[str]:
    """Return the folders, from the outermost, that contain all members with these paths."""
    ends = min(paths), max(paths)
    shared = os.path.commonpath([posixpath.dirname(path) for path in ends])
    return [part for part in shared.split("/") if part]


def as_prefix(parts: Iterable[str]) -> str:
    """Return the beginning of the paths in nested folders."""
    return "".join(f"{part}/" for part in parts)


def _words(name: str) -> list[str]:
    """Return words and numbers, in lower case."""
    return re.findall(r"\d+|[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def _pattern(name: str) -> str:
    """Return a name without its split, numbers, hashes and single letters."""
    words = _words(_HASH.sub("0", name))
    short = ("#" if word.isdecimal() or len(word) == 1 else word for word in words)
    return " ".join("*" if word in _WORDS else word for word in short)


def _warn(text: str) -> None:
    print_log(text, "current", logging.WARNING)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else ""
    return ", ".join(printable(name) or "other images" for name in names[:_SHOWN]) + more


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Return the visible entries, none if the folder cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_hidden(entry.name)]
    except OSError:
        return []
