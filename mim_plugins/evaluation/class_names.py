"""Names of a data set's classes, in the order of its labels, and their comparison."""

from collections.abc import Sequence
from typing import Any

from ..wording import listed

FOLDERS = "class folders"
CLASSES = "classes"


def class_names(dataset: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of the labels of an unwrapped data set by kind: folders and class names.

    If class folders are numbered in alphabetical order, they determine the meaning of a label, even
    if the data set also has its own class names, as ImageNet has.
    """
    names = {}
    folders = getattr(dataset, "folder_to_idx", None)
    if folders:
        names[FOLDERS] = tuple(sorted(folders, key=folders.__getitem__))
    classes = (getattr(dataset, "metainfo", None) or {}).get("classes")
    if classes is not None and not isinstance(classes, str):
        names[CLASSES] = tuple(map(str, classes))
    return names


def class_difference(
    expected: dict[str, tuple[str, ...]], found: dict[str, tuple[str, ...]]
) -> str | None:
    """Return the first difference of two results of :func:`class_names`, None if they agree.

    If both have folders, these are compared. A kind that only one of them has is ignored. Numbers
    that equal the labels agree with any names, because iNaturalist's classes are numbers if the
    names of its categories are missing. Numbered folders in another order (0, 1, 10, 2) agree only
    with the same folders.
    """
    kind = next((kind for kind in expected if kind in found), None)
    if kind is None:
        return None
    first, second = expected[kind], found[kind]
    if not _agree(first, second):
        return _describe(kind, first, second)
    folders = expected.get(FOLDERS, found.get(FOLDERS, ()))
    if kind == FOLDERS or first == second == folders:
        return None
    return describe_disorder(folders)


def describe_disorder(folders: Sequence[str]) -> str | None:
    """Describe numbered class folders whose labels are not in the order of the numbers, if so."""
    if not _are_numbers(folders):
        return None
    in_order = sorted(folders, key=int)
    pairs = enumerate(zip(folders, in_order, strict=True))
    moved = [f"label {label} is {a!r}, not {b!r}" for label, (a, b) in pairs if a != b]
    return f"class folders in the order of text, not of numbers: {moved[0]}" if moved else None


def _agree(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    if first == second:
        return True
    if len(first) != len(second) or not (_are_numbers(first) or _are_numbers(second)):
        return False
    return all(
        list(map(int, names)) == list(range(len(names)))
        for names in (first, second)
        if _are_numbers(names)
    )


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name.isdecimal() for name in names)


def _describe(kind: str, expected: tuple[str, ...], found: tuple[str, ...]) -> str:
    missing, extra = set(expected) - set(found), set(found) - set(expected)
    parts = [f"without {_some(missing)}"] if missing else []
    parts += [f"with additional {_some(extra)}"] if extra else []
    if not parts:
        pairs = enumerate(zip(expected, found, strict=False))
        moved = next((f"{label} is {b!r}, not {a!r}" for label, (a, b) in pairs if a != b), "")
        parts = [f"in another order: label {moved}" if moved else "some of them twice"]
    instead = "" if len(found) == len(expected) else f" instead of {len(expected)}"
    return f"{len(found)} {kind}{instead}, {' and '.join(parts)}"


def _some(names: set[str]) -> str:
    return listed([repr(name) for name in sorted(names)])
