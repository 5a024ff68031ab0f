"""Files of features: NumPy, CSV and Parquet, written with bounded memory."""

import csv
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, MissingPackageError
from .feature_spool import FeatureSpool

COLUMNS = dict(pooled="features", cls="cls", map="maps")
"""Name of each kind of features in a file."""
_ROWS = 256  # per group of Parquet, and per block of CSV


def check_file(path: Path, kinds: tuple[str, ...]) -> None:
    """Check that a file of features can be written.

    Raises:
        ConfigError: the suffix is unknown, there is a folder of this name, or the format has no
            place for the features.
        MissingPackageError: a package is missing.
    """
    if path.suffix not in WRITERS:
        raise ConfigError(f"out '{path}' must end in one of {' '.join(WRITERS)}")
    if path.is_dir():
        raise ConfigError(f"out '{path}' is a folder; give the name of a file")
    if path.suffix == ".csv" and "map" in kinds:
        raise ConfigError(f"out '{path}': CSV has no place for maps; use .npz or .parquet")
    if path.suffix == ".parquet":
        _import_pyarrow(path)


def write_features_file(path: Path, suffix: str, spool: FeatureSpool, parts: int) -> None:
    """Write all features of a spool; see :data:`WRITERS` for the suffixes."""
    WRITERS[suffix](path, spool, parts)


def _names(spool: FeatureSpool, parts: int) -> Iterator[str]:
    return chain.from_iterable(map(spool.names, range(parts)))


def _write_npz(path: Path, spool: FeatureSpool, parts: int) -> None:
    """Write ``paths`` (N) and an array per kind of features, (N, D) or (N, C, H, W)."""
    names = np.array(list(_names(spool, parts)))
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("paths.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, names, allow_pickle=False)
        for kind, shape in spool.shapes.items():
            header = dict(descr="<f4", fortran_order=False, shape=(len(names), *shape))
            with archive.open(f"{COLUMNS[kind]}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array_header_1_0(file, header)
                for rows in spool.rows(kind, parts):
                    file.write(rows.tobytes())


def _write_csv(path: Path, spool: FeatureSpool, parts: int) -> None:
    """Write a line per image: ``path``, ``feature_0``, ..., and ``cls_0``, ..."""
    head = dict(pooled="feature", cls="cls")
    columns = [f"{head[kind]}_{n}" for kind, (width,) in spool.shapes.items() for n in range(width)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *columns])
        for names, blocks in _blocks(spool, parts):
            values = np.concatenate(list(blocks.values()), axis=1).tolist()
            writer.writerows([name, *row] for name, row in zip(names, values, strict=True))


def _write_parquet(path: Path, spool: FeatureSpool, parts: int) -> None:
    """Write ``path`` and a list of numbers per kind; maps are flat, their shape is metadata."""
    arrow = _import_pyarrow(path)
    from pyarrow import parquet

    fields = [arrow.field("path", arrow.string())]
    for kind, shape in spool.shapes.items():
        about = {"shape": "x".join(map(str, shape))}
        numbers = arrow.list_(arrow.float32(), int(np.prod(shape)))
        fields.append(arrow.field(COLUMNS[kind], numbers, metadata=about))
    schema = arrow.schema(fields)
    with parquet.ParquetWriter(path, schema) as writer:
        for names, blocks in _blocks(spool, parts):
            arrays = [arrow.array(names, arrow.string())]
            for field, rows in zip(fields[1:], blocks.values(), strict=True):
                flat = arrow.array(rows.reshape(-1))
                arrays.append(arrow.FixedSizeListArray.from_arrays(flat, type=field.type))
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _blocks(spool: FeatureSpool, parts: int) -> Iterator[tuple[list[str], dict[str, np.ndarray]]]:
    """Yield names and rows of all kinds, a block at a time."""
    names = _names(spool, parts)
    kinds = list(spool.shapes)
    for rows in zip(*(spool.rows(kind, parts, _ROWS) for kind in kinds), strict=True):
        yield list(islice(names, len(rows[0]))), dict(zip(kinds, rows, strict=True))


def _import_pyarrow(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingPackageError(
            f"out '{path}' needs the package pyarrow: pip install 'mim_plugins[parquet]'"
        ) from error
    return pyarrow


WRITERS: dict[str, Callable[[Path, FeatureSpool, int], None]] = {
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
