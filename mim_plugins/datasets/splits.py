"""Names of splits: only exact names select data, and similar names only refuse to read all."""

import logging
import os
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from mmengine.logging import print_log

from ..errors import SplitError
from ..file_names import printable
from ..wording import listed

SPLITS = ("train", "val", "test")
_SPELLINGS = dict(train="train", training="train", val="val", valid="val", validation="val")
_SPELLINGS |= dict(test="test", testing="test")
_NUMBERS = re.compile(r"((?:[-_. ]?\d+)+)(?:[-_]of[-_](\d+))?(?:[-_][0-9a-f]{8,})?", re.I)
_NUMBERED = re.compile(rf"(.*?){_NUMBERS.pattern}", re.I)
_SIMILAR = dict(  # words of names that look like a split
    train=re.compile("tr|train(ing|val)?(set|data|images)?"),
    val=re.compile("va|(val|valid|validation|dev|eval|evaluation|holdout)(set|data|images)?"),
    test=re.compile("ts|test(ing)?(set|data|images)?"),
)
_SHORT = {"Tr", "Va", "Ts"}  # such as imagesTr
_FEWEST_CLASSES = 4  # beside a class whose name is exactly that of a split
_SHOWN = 6  # names in a line


def normal_split(split: str) -> str:
    """Return the normal form of a split or folder, such as ``train`` for ``./train/``."""
    path = posixpath.normpath(split)
    return "" if path == "." else path


def plain_split(name: str) -> str | None:
    """Return the split that is the whole name, such as ``val`` for ``Validation``, if any."""
    return _SPELLINGS.get(name.lower())


def split_of(name: str) -> str | None:
    """Return the split that a name is, alone or followed by numbers as in ``train-0-of-2``."""
    return plain_split(_without_numbers(name))


def similar_split(name: str) -> str | None:
    """Return the splits that words of a name look like, joined by a plus sign, None if none.

    Words end at numbers, signs and before capital letters.
    """
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name))
    words = [each for n, each in enumerate(words) if len(each) > 2 or (n and each in _SHORT)]
    lower = [each.lower() for each in words]
    found = [split for split, pattern in _SIMILAR.items() if any(map(pattern.fullmatch, lower))]
    return "+".join(found) or None


def names_of_split(names: Iterable[str], wanted: str, exact: bool) -> list[str]:
    """Return the names that are exactly a split in any spelling, or another wanted name.

    If not ``exact``, numbers may follow. The name wanted is returned alone.
    """
    split = plain_split(wanted)
    words = [word for word, each in _SPELLINGS.items() if each == split] or [wanted.lower()]

    def is_own(name: str, word: str) -> bool:
        rest = name.lower().removeprefix(word) if name.lower().startswith(word) else None
        return rest == "" or bool(word and rest and not exact and _NUMBERS.fullmatch(rest))

    own = {name for name in names for word in words if is_own(name, word)}
    return [wanted] if wanted in own else sorted(own)


def are_shards(names: Collection[str]) -> bool:
    """Return whether names end in consecutive numbers, or in numbers ``-of-`` the same one."""
    found = [_NUMBERED.fullmatch(name.lower()) for name in names]
    parts = [(each[1], each[3], re.findall(r"\d+", each[2])) for each in found if each]
    kinds = {(word, total, *numbers[:-1]) for word, total, numbers in parts}
    if len(parts) < len(names) or len(kinds) > 1:
        return False
    last = sorted(int(numbers[-1]) for _, _, numbers in parts)
    steps = {second - first for first, second in pairwise(last)}
    return steps <= {1} or (parts[0][1] is not None and 0 not in steps)


class Choice(NamedTuple):
    """Folders, or archives without suffix, that are a split."""

    around: str
    """Folders around them, ``""`` or ending in a slash."""
    names: list[str]
    beside: set[str]
    """Other names side by side, ``""`` for images."""

    @property
    def prefixes(self) -> list[str]:
        """Beginnings of the paths in the split."""
        return [f"{self.around}{name}/" for name in self.names]


def choose_split(paths: Collection[str], wanted: str, exact: bool) -> Choice | None:
    """Return the outermost folders that are a split, in those that all paths share, if any.

    Args:
        paths: :func:`outline` of the images.
        wanted: name of the split, or path of a folder; see :func:`names_of_split`.
        exact: see :func:`names_of_split`.
    """
    outer, name = posixpath.split(wanted)
    shared = shared_folders(paths) if paths else []
    for depth in range(len(shared) + 1):
        around = as_prefix([*shared[:depth], *filter(None, outer.split("/"))])
        inside = [path[len(around) :] for path in paths if path.startswith(around)]
        tops = {path.partition("/")[0] if "/" in path else "" for path in inside}
        if own := names_of_split(tops, name, exact):
            return Choice(around, own, tops - {*own})
    return None


def check_choice(
    choice: Choice, images: Collection[str], archives: Collection[str], wanted: str, where: str
) -> None:
    """Refuse a choice that is not clear, and log a warning of what is not read beside it.

    See :func:`choose_split` and :func:`refuse_splits` for the arguments.

    Raises:
        SplitError: several names are no shards, or the split may be a class or a part of it.
    """
    around, own, _ = choice
    data, split = f"'{printable(where)}'", plain_split(posixpath.basename(wanted))
    shown = listed([printable(around + each) for each in own], _SHOWN)
    are_files = {around + each for each in own} <= {*map(posixpath.dirname, archives)}
    if len(own) > 1 and not (are_files and are_shards(own)):
        raise SplitError(f"{data} has several '{split or wanted}', which are no shards: {shown}")
    found = _NUMBERED.fullmatch(own[0]) if are_files else None
    if (missing := int((found and found[3]) or 0) - len(own)) > 0:
        _warn(f"{data} lacks {missing} of the {len(own) + missing} parts: {shown}")
    if split is None:
        return
    parts = [path.removeprefix(around).split("/") for path in (*images, *archives)]
    beside = {each[0] if each[1:] else "" for each in parts} - {*own}
    unread = [each for each in sorted(beside) if similar_split(each) in (None, split)]
    names = listed([printable(each) or "other images" for each in unread], _SHOWN)
    has_others = not {*map(split_of, beside)} <= {None, split}
    deep = {each[0] for each in parts if len(each) > 2}
    classes = {each[0] for each in parts if len(each) == 2} - deep
    if plain_split(own[0]):
        if own[0] in classes and len(beside & classes) >= _FEWEST_CLASSES and not has_others:
            raise SplitError(f"{data}: '{shown}' may be the split, or a class such as {names}")
    else:
        word = _without_numbers(own[0]).lower()
        is_part = any(each.lower().startswith(word) for each in beside)
        if is_part or (beside and not has_others):
            raise SplitError(f"{data}: {shown} may be a part of '{split}', beside {names}")
    if unread:
        _warn(f"{data}: not read beside {listed([*map(printable, own)], _SHOWN)}: {names}")


def refuse_splits(images: Iterable[str], archives: Iterable[str], wanted: str, where: str) -> None:
    """Refuse to read everything if names of folders may be other splits, or a name is missing.

    Names that only look like one other split are a warning.

    Args:
        images: :func:`outline` of the images.
        archives: paths of archives, as ``STEM/SUFFIX``.
        wanted: the split, or another folder, which none of them is; ``""`` for one split, any.
        where: the data, for messages.

    Raises:
        SplitError: names at any depth look like different splits, or one is exactly another split;
            or ``wanted`` is no split.
    """
    stems = {posixpath.dirname(path): posixpath.basename(path) for path in archives}
    parts = [*(path.split("/")[:-1] for path in images), *(stem.split("/") for stem in stems)]
    split, data = plain_split(wanted or "train"), f"'{printable(where)}'"
    if split is None:
        tops = listed(sorted({printable(each[0]) for each in parts if each}), _SHOWN)
        found = f", but {tops}" if tops else ""
        raise SplitError(f"{data} has no folder or archive '{printable(wanted)}'{found}")
    names = {"/".join(each[:depth]) for each in parts for depth in range(1, len(each) + 1)}
    kinds = {each: kind for each in names if (kind := similar_split(posixpath.basename(each)))}
    groups: dict[str, list[str]] = {}
    for name in sorted(kinds, key=lambda name: (name.count("/"), name)):
        group = _without_numbers(name) if name in stems else name
        groups.setdefault(group, []).append(name)
    shown = listed([printable(_pattern(word, groups[word], stems)) for word in groups], _SHOWN)
    exact = {split_of(posixpath.basename(each)) for each in kinds} - {None}
    is_mixed = len({*kinds.values()}) > 1
    if not wanted:  # classes may have similar names, unless all have
        is_mixed &= len(exact) > 1 or all(any(map(similar_split, each)) for each in parts)
    if is_mixed or (wanted and exact - {split}):
        which = f"no split '{printable(wanted)}', but" if wanted else "different splits:"
        raise SplitError(f"{data} has {which} {shown}")
    if {*kinds.values()} - {split} and wanted:
        _warn(f"{data} has no split '{split}', but {shown}, which may be another split")


def _pattern(word: str, names: Sequence[str], suffixes: Mapping[str, str]) -> str:
    """Return the name of a folder or archive, or a pattern of several that begin with a word."""
    sign = names[-1][len(word) : len(word) + 1].strip("0123456789")
    return (f"{word}{sign}*" if names[1:] else names[0]) + suffixes.get(names[0], "")


def without_shared_beginning(archives: Mapping[str, str]) -> dict[str, str]:
    """Return archives without the words that the names side by side share, as ``x_train x_val``."""
    stems = {posixpath.dirname(path) for path in archives}
    around, slash, word = os.path.commonprefix([*stems]).rpartition("/")  # noqa: RUF071
    word = re.sub(r"[^\W_]*$", "", word) if len(stems) > 1 else ""
    start = len(around + slash)
    return {path[:start] + path[start + len(word) :]: each for path, each in archives.items()}


def _warn(text: str) -> None:
    print_log(text, "current", logging.WARNING)


def outline(paths: Iterable[str]) -> list[str]:
    """Return one path in each folder, sorted, which is enough to find splits."""
    return sorted({f"{path.rpartition('/')[0]}/0".lstrip("/") for path in paths})


def shared_folders(paths: Collection[str]) -> list[str]:
    """Return the folders, from the outermost, that contain all members with these paths."""
    ends = min(paths), max(paths)
    shared = os.path.commonpath([posixpath.dirname(path) for path in ends])
    return [part for part in shared.split("/") if part]


def as_prefix(parts: Iterable[str]) -> str:
    """Return the beginning of the paths in nested folders."""
    return "".join(f"{part}/" for part in parts)


def describe_folders(paths: Collection[str]) -> str:
    """Return the number of paths in each folder below those that all share, ``""`` for one."""
    start = len(as_prefix(shared_folders(paths)))
    inner = (path[start:] for path in paths)
    counts = Counter(path.partition("/")[0] if "/" in path else "." for path in inner)
    shown = [f"{printable(name)} {count}" for name, count in sorted(counts.items())]
    return f": {listed(shown, _SHOWN)}" if len(counts) > 1 else ""


def _without_numbers(name: str) -> str:
    found = _NUMBERED.fullmatch(name)
    return found[1] if found else name
