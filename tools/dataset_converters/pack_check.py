"""Comparison of a finished pack with the images that were written to it."""

from collections.abc import Sequence
from pathlib import Path

from pack_names import PackedImage

from mim_plugins.archives.formats import read_archive
from mim_plugins.archives.handles import file_identity, forget_handles
from mim_plugins.datasets.archive_images import images_in
from mim_plugins.datasets.archive_places import ArchivePlace
from mim_plugins.datasets.image_files import BAND_SUFFIXES
from mim_plugins.errors import ArchiveError, UserError
from mim_plugins.file_names import printable


def check_pack(
    path: Path, kind: str, written: Sequence[PackedImage], classes: Sequence[str] | None
) -> None:
    """Read a pack as the data sets do.

    Args:
        path: the pack.
        kind: its format.
        written: its images, in order.
        classes: names of the classes, None without labels.

    Raises:
        ArchiveError: other images, labels or classes are found than were written.
    """
    place = ArchivePlace([str(path)], "")
    try:
        archive = read_archive(str(path), kind)
        found = images_in([archive], place, classes is not None, suffixes=BAND_SUFFIXES)
    except UserError as error:
        raise ArchiveError(
            f"the new pack cannot be read, so it is removed: {error.summary}; pack into another"
            " format"
        ) from error
    finally:
        forget_handles(str(path))
        forget_handles(file_identity(str(path)))
    names = [address[len(str(path)) + len("::") :] for address in found.paths]
    labels: Sequence[int | None] = found.labels or [None] * len(names)
    read = dict(zip(names, labels, strict=True))
    is_table = kind == "parquet"
    wanted = {str(n) if is_table else each.name: each.label for n, each in enumerate(written)}
    other = next((name for name in {**wanted, **read} if not _is_same(name, wanted, read)), None)
    if other is not None or len(written) != len(names):
        raise ArchiveError(
            f"the new pack would be read with {len(names)} of {len(written)} images, or with other"
            f" labels, such as of '{printable(other or names[0])}', so it is removed: rename these"
            " images, or pack into .parquet"
        )
    if found.classes is not None and found.classes != tuple(classes or ()):
        raise ArchiveError(
            f"the new pack would be read with other names of classes, such as"
            f" '{printable(found.classes[0])}', so it is removed: pack into .parquet"
        )


def _is_same(name: str, wanted: dict[str, int | None], read: dict[str, int | None]) -> bool:
    return name in wanted and name in read and wanted[name] == read[name]
