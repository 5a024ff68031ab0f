"""Parquet files with a column of image files."""

import json
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import ArchiveError, TableError
from ..file_names import printable
from .extras import import_extra
from .handles import handle_of
from .image_archive import ImageArchive, check_size
from .member_names import RowNumbers
from .stored_labels import LABEL_COLUMNS, StoredLabels, encode_labels

IMAGE_COLUMNS = ("image", "img", "jpg", "png")
_CACHED = 2  # row groups, for reading in order
_LARGEST_GROUP = 1 << 31  # bytes, of one Arrow array


class ParquetArchive(ImageArchive):
    """Parquet file with image files in a column of bytes, or of Hugging Face's image structs.

    A read decodes the row group of the row, so groups should be small.

    Args:
        path: the file.
    """

    format_name = "Parquet file"
    names: RowNumbers

    def read_index(self) -> None:
        """Read the numbers of rows."""
        path = self.path
        file = handle_of(_open, path).file
        schema, metadata = file.schema_arrow, file.metadata
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        rows = [group.num_rows for group in groups]
        self._column = _image_column(path, schema)
        self._label = next((name for name in LABEL_COLUMNS if name in schema.names), None)
        self.stores_labels = self._label is not None
        largest = max((group.total_byte_size for group in groups), default=0)
        if largest > _LARGEST_GROUP:
            raise ArchiveError(
                f"'{printable(path)}' has row groups of {largest / 2**30:.1f} GiB, and each read"
                " decodes one; write it again with a small row_group_size"
            )
        self._starts = np.cumsum([0, *rows], dtype=np.int64)
        self.names = RowNumbers(int(self._starts[-1]))
        self.rows_per_read = round(len(self) / max(len(groups), 1))

    def read_labels(self) -> StoredLabels:
        """Return the labels of all rows."""
        assert self._label is not None
        file = handle_of(_open, self.path).file
        values = file.read(columns=[self._label], use_threads=False).column(0).to_pylist()
        classes = class_names_of(file.schema_arrow.metadata, self._label)
        return encode_labels(self.path, self._label, values, classes)

    def find(self, name: str) -> int:
        """Return the index of a row."""
        return self.names.find(name)

    def read_member(self, index: int) -> bytes:
        """Return the image file in a row."""
        group = int(np.searchsorted(self._starts, index, side="right")) - 1
        values = handle_of(_open, self.path).values(self._column, group)
        content = values[index - int(self._starts[group])].as_buffer()
        if content is None:
            raise OSError("the row has no image")
        check_size(content.size)
        return content.to_pybytes()


def class_names_of(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...] | None:
    """Return the class names that Hugging Face's ``datasets`` writes for a column of labels."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(map(str, features[column]["names"]))
    except (KeyError, TypeError, ValueError):
        return None


def _image_column(path: str, schema: Any) -> str:
    """Return the path of the column with image files."""
    types = import_extra("pyarrow.types", "parquet", path)

    def is_bytes(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    found = {}
    for field in schema:
        if is_bytes(field.type):
            found[field.name] = field.name
        elif types.is_struct(field.type):
            names = [field.type.field(index).name for index in range(field.type.num_fields)]
            if "bytes" in names and is_bytes(field.type.field("bytes").type):
                found[field.name] = f"{field.name}.bytes"
    chosen = [found[name] for name in IMAGE_COLUMNS if name in found] or list(found.values())
    if not chosen or (len(found) > 1 and not set(IMAGE_COLUMNS) & set(found)):
        raise (ArchiveError if found else TableError)(
            f"'{printable(path)}' has the columns {', '.join(map(printable, schema.names))}, but"
            " needs one column of image files, named 'image': bytes, or a struct with bytes"
        )
    return chosen[0]


def _open(path: str) -> "_RowGroups":
    parquet = import_extra("pyarrow.parquet", "parquet", path)
    return _RowGroups(parquet.ParquetFile(path, pre_buffer=False))


class _RowGroups:
    """Open file with the row groups that were read last."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.values = lru_cache(maxsize=_CACHED)(self._read)

    def _read(self, column: str, group: int) -> Any:
        """Return the values of a column in a row group, as one array."""
        table = self.file.read_row_group(group, columns=[column], use_threads=False)
        values = table.column(0).combine_chunks()
        return values.field("bytes") if values.type.num_fields else values
