"""Former names of splits, only for ``prepare_dataset.py pack``, which no longer needs them soon."""

import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import NamedTuple

_WORDS = dict(train="train", training="train", val="val", valid="val", validation="val")
_WORDS |= dict(test="test", testing="test")
_HASH = re.compile(r"(?<![^\W_])[0-9a-f]{8,}(?![^\W_])")
_FEWEST_CLASSES = 4  # beside a class whose name contains that of a split


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


def name_with_split(archive: str) -> str:
    """Return the name of an archive, or that of its folder if this one alone stands for a split."""
    folder = os.path.basename(os.path.dirname(archive))
    stem = os.path.splitext(os.path.basename(archive))[0]
    return stem if split_in_name(stem) or not split_in_name(folder) else folder
