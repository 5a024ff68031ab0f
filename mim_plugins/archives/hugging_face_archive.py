"""Data sets of Hugging Face's library ``datasets``."""

import re
from pathlib import Path
from typing import Any

from ..errors import ArchiveError
from ..file_names import printable
from .extras import import_extra
from .formats import HUB
from .image_archive import ImageArchive, check_size
from .member_names import RowNumbers
from .stored_labels import LABEL_COLUMNS, StoredLabels, encode_labels

_ALIASES = dict(val=("val", "validation", "valid"))
_NAME = re.compile(r"[\w.-]+(/[\w.-]+){0,2}")


class HuggingFaceArchive(ImageArchive):
    """Data set of the hub or of ``save_to_disk``, with a column of images.

    The library stores it as memory-mapped Arrow files. Scripts of data sets are never run.

    Args:
        path: folder, or ``hf://[USER/]NAME[/CONFIG][#SPLIT]``; the default split is ``train``.
    """

    format_name = "data set of Hugging Face"
    names: RowNumbers

    def read_index(self) -> None:
        """Load the data set.

        Other processes inherit or receive the paths of its Arrow files, so they read the same
        revision and never contact the hub.
        """
        whole = _load(self.path)
        self._images = _images_of(whole, self.path)
        self.names = RowNumbers(len(self._images))
        self._label = next((name for name in LABEL_COLUMNS if name in whole.features), None)
        self.stores_labels = self._label is not None
        self._labels = whole.select_columns([self._label]) if self.stores_labels else None

    def read_labels(self) -> StoredLabels:
        """Return the labels of all rows."""
        assert self._label is not None
        assert self._labels is not None
        values = self._labels[:][self._label]
        classes = getattr(self._labels.features[self._label], "names", None)
        return encode_labels(self.path, self._label, values, classes)

    def find(self, name: str) -> int:
        """Return the index of a row."""
        return self.names.find(name)

    def read_member(self, index: int) -> bytes:
        """Return the image file in a row."""
        (value,) = self._images[index].values()
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None and isinstance(value, dict) and value.get("path"):
            file = Path(value["path"])
            if not file.is_file():
                raise OSError(f"the row names '{printable(file)}', which is no file")
            check_size(file.stat().st_size)
            content = file.read_bytes()
        if content is None:
            raise OSError("the row has no image")
        check_size(len(content))
        return bytes(content)


def split_names(split: str) -> tuple[str, ...]:
    """Return the names of a split, the given one first."""
    return tuple(dict.fromkeys((split, *_ALIASES.get(canonical_split(split), ()))))


def canonical_split(split: str) -> str:
    """Return the name that stands for all names of a split."""
    return next((key for key, names in _ALIASES.items() if split in names), split)


def _images_of(whole: Any, path: str) -> Any:
    """Return the column of images alone, as contents of files."""
    datasets = import_extra("datasets", "hf", path)
    columns = [name for name, kind in whole.features.items() if isinstance(kind, datasets.Image)]
    if len(columns) != 1:
        raise ArchiveError(
            f"'{printable(path)}' has the columns {', '.join(map(printable, whole.features))}, but"
            " needs exactly one of type Image"
        )
    return whole.select_columns(columns).cast_column(columns[0], datasets.Image(decode=False))


def _load(path: str) -> Any:
    datasets = import_extra("datasets", "hf", path)
    try:
        if not path.startswith(HUB):
            return datasets.load_from_disk(path)
        name, _, split = path[len(HUB) :].partition("#")
        if not _NAME.fullmatch(name):
            raise ArchiveError(
                f"'{printable(path)}': write hf://[USER/]NAME[/CONFIG][#SPLIT], as on the hub"
            )
        user, *rest = name.split("/")
        repository, config = ("/".join([user, *rest[:1]]), rest[1] if rest[1:] else None)
        available = datasets.get_dataset_split_names(repository, config)
        wanted = split_names(split or "train")
        found = next((each for each in wanted if each in available), None)
        if found is None:
            raise ArchiveError(
                f"'{printable(path)}' has no split '{wanted[0]}'; its splits are"
                f" {', '.join(available)}"
            )
        return datasets.load_dataset(repository, config, split=found)
    except ArchiveError:
        raise
    except Exception as error:  # of the network, the hub, the library and Arrow
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ArchiveError(f"'{printable(path)}' cannot be loaded ({cause})") from error
