"""Writers of packs, one for each format."""

import io
import json
import math
import tarfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from pack_names import PackedImage, have_folders_of_labels

from mim_plugins.archives.extras import import_extra
from mim_plugins.errors import ArchiveError
from mim_plugins.file_names import printable

_ROW_GROUPS = 1 << 14  # a read decodes a group, but every process has all headers of groups
_BYTES_IN_A_WRITE = 1 << 26
_LARGEST_DATABASE = 1 << 42  # bytes of address space; the file has only the bytes it needs
_LONGEST_KEY = 511  # bytes, LMDB's limit


class Writer(AbstractContextManager):
    """Context in which images are written to a file.

    Args:
        path: the file.
        images: the images, in order.
        classes: names of the classes.
    """

    def __init__(
        self, path: Path, images: Sequence[PackedImage], classes: Sequence[str] | None
    ) -> None:
        raise NotImplementedError

    @abstractmethod
    def add(self, image: PackedImage, data: bytes) -> None:
        """Write an image."""


class FileWriter(Writer):
    """Archive of files, whose labels are those of the folders or of a .cls file per image.

    Each .cls file follows its image, as in WebDataset. If all images of a class are left out, the
    folders would give other classes, so the .cls files are at the end.
    """

    def __init__(
        self, path: Path, images: Sequence[PackedImage], classes: Sequence[str] | None
    ) -> None:
        self.classes = classes
        self.needs_files = classes is not None and not have_folders_of_labels(images, classes)
        self.images: list[PackedImage] = []
        self.labels: set[str] = set()

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file."""

    @abstractmethod
    def close(self) -> None:
        """Write the rest and the end."""

    def __exit__(self, kind: object, *_: object) -> None:
        """Write what is left, unless an error ends the context."""
        try:
            if kind is None and self.classes is not None and self.images and not self.needs_files:
                self._complete_labels(self.classes)
        finally:
            self.close()

    def add(self, image: PackedImage, data: bytes) -> None:
        """Write an image."""
        self.write(image.name, data)
        self.images.append(image)
        if self.needs_files:
            self._write_label(image)

    def _complete_labels(self, classes: Sequence[str]) -> None:
        if not have_folders_of_labels(self.images, classes):
            for image in self.images:
                self._write_label(image)

    def _write_label(self, image: PackedImage) -> None:
        folder, separator, name = image.name.rpartition("/")
        file = f"{folder}{separator}{name.partition('.')[0]}.cls"
        if file not in self.labels:  # of x.jpg and x.png, for example, in a class folder
            self.labels.add(file)
            self.write(file, str(image.label).encode())


class TarWriter(FileWriter):
    """Tar archive of files whose paths contain the classes."""

    def __init__(
        self, path: Path, images: Sequence[PackedImage], classes: Sequence[str] | None
    ) -> None:
        super().__init__(path, images, classes)
        self.tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def close(self) -> None:
        """Write the end."""
        self.tar.close()

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self.tar.addfile(member, io.BytesIO(data))


class LmdbWriter(FileWriter):
    """LMDB file whose keys are paths that contain the classes.

    Raises:
        ArchiveError: a path is longer than a key may be.
        OSError: the disk is full, or the process may not use the address space.
    """

    def __init__(
        self, path: Path, images: Sequence[PackedImage], classes: Sequence[str] | None
    ) -> None:
        super().__init__(path, images, classes)
        self.lmdb = import_extra("lmdb", "lmdb", str(path))
        for image in images:
            if len(_key(image.name)) > _LONGEST_KEY - len(".jpeg"):
                raise ArchiveError(
                    f"'{printable(image.name)}' is longer than an LMDB key may be; use tar"
                )
        with self._own_errors():
            self.environment = self.lmdb.open(
                str(path), subdir=False, map_size=_LARGEST_DATABASE, lock=False, sync=False
            )
        self.waiting: dict[bytes, bytes] = {}
        self.size = 0

    def close(self) -> None:
        """Write the rest."""
        try:
            with self._own_errors():
                self._flush()
                self.environment.sync(True)
        finally:
            self.environment.close()

    def write(self, name: str, data: bytes) -> None:
        """Write a file."""
        self.waiting[_key(name)] = data
        self.size += len(data)
        if self.size >= _BYTES_IN_A_WRITE:
            with self._own_errors():
                self._flush()

    def _flush(self) -> None:
        with self.environment.begin(write=True) as transaction:
            for key, data in self.waiting.items():
                transaction.put(key, data)
        self.waiting.clear()
        self.size = 0

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        try:
            yield
        except self.lmdb.MemoryError as error:
            raise OSError(
                f"{error}: LMDB needs {_LARGEST_DATABASE >> 40} TiB of address space; remove its"
                " limit with 'ulimit -v unlimited', or pack into .tar"
            ) from error
        except self.lmdb.Error as error:
            raise OSError(f"{error}; check disk space, or pack into .tar") from error


class ParquetWriter(Writer):
    """Parquet file in Hugging Face's layout, with small row groups for random access."""

    def __init__(
        self, path: Path, images: Sequence[PackedImage], classes: Sequence[str] | None
    ) -> None:
        self.pyarrow: Any = import_extra("pyarrow", "parquet", str(path))
        parquet = import_extra("pyarrow.parquet", "parquet", str(path))
        image = self.pyarrow.struct(dict(bytes=self.pyarrow.binary(), path=self.pyarrow.string()))
        fields = dict(image=image)
        features: dict[str, dict[str, Any]] = dict(image=dict(_type="Image"))
        if classes is not None:
            fields["label"] = self.pyarrow.int64()
            features["label"] = dict(_type="ClassLabel", names=list(classes))
        metadata = dict(huggingface=json.dumps(dict(info=dict(features=features))))
        self.schema = self.pyarrow.schema(fields, metadata)
        # image files are compressed already
        self.file = parquet.ParquetWriter(
            path, self.schema, compression="none", use_dictionary=False, write_statistics=False
        )
        self.rows_per_group = math.ceil(len(images) / _ROW_GROUPS)
        self.rows: list[dict[str, Any]] = []
        self.size = 0

    def __exit__(self, *_: object) -> None:
        """Write the rest and the index."""
        self._write()
        self.file.close()

    def add(self, image: PackedImage, data: bytes) -> None:
        """Write an image."""
        path = printable(image.name)
        self.rows.append(dict(image=dict(bytes=data, path=path), label=image.label))
        self.size += len(data)
        if self.size >= _BYTES_IN_A_WRITE and len(self.rows) % self.rows_per_group == 0:
            self._write()

    def _write(self) -> None:
        if self.rows:
            table = self.pyarrow.Table.from_pylist(self.rows, self.schema)
            self.file.write_table(table, row_group_size=self.rows_per_group)
            self.rows.clear()
            self.size = 0


WRITERS: dict[str, type[Writer]] = dict(tar=TarWriter, parquet=ParquetWriter, lmdb=LmdbWriter)


def _key(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
