"""Features of any number of images in a file."""

import csv
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.dist import all_gather_object, barrier, broadcast_object_list, get_dist_info
from mmengine.logging import print_log

from ..checkpoints.writing import write_atomically
from ..datasets.image_files import suffixes_read
from ..errors import ConfigError, DataNotFoundError
from ..file_names import printable
from .feature_batches import FeatureBatch, Progress, feature_batches
from .feature_files import COLUMNS, check_file, write_features_file
from .feature_spool import FeatureSpool
from .image_source import ImageSource
from .inputs import evaluation_pipeline

CORRUPT_SUFFIX = ".corrupt.csv"
"""Ending of the file that lists the images that could not be read."""


class Embeddings(NamedTuple):
    """File of features."""

    path: Path
    images: int
    """Number of images in the file."""
    shapes: dict[str, tuple[int, ...]]
    """Shape of an image's features by kind."""
    corrupt: dict[str, str]
    """Error message of each image that could not be read, by name."""
    non_finite: int
    """Number of images in the file with features that are NaN or infinite."""


def embed(
    model: Any,
    images: Any,
    out: str | Path,
    features: Sequence[str] = ("pooled",),
    batch_size: int = 32,
    workers: int = 0,
    progress: Progress | None = None,
) -> Embeddings:
    """Write the features of images to a file; the memory holds a few batches.

    In a distributed run, each process computes a contiguous share, and the first one writes the
    file: each image once and in order. The folder of ``out`` must then be shared. The file is
    written atomically. Images that cannot be read are left out and listed in ``OUT.corrupt.csv``.
    Features that are not finite are written, with a warning.

    Args:
        model: see :func:`extract_features`.
        images: see :class:`ImageSource`.
        out: file to write: ``.npz`` (arrays ``paths``, ``features``, ``cls``, ``maps``), ``.csv``,
            or ``.parquet`` (``pip install 'mim_plugins[parquet]'``).
        features: kinds: ``'pooled'`` (D), ``'cls'`` (D), the [CLS] token of a ViT, and ``'map'``
            (C, H, W), the last map.
        batch_size: images per batch and process.
        workers: loading processes; 0 loads in this process.
        progress: called by the first process with the numbers of finished images and of all images
            of its share.

    Raises:
        ConfigError: a kind or the suffix is unknown, the encoder does not have such features, or
            ``out`` is a folder or contains the images.
        DataNotFoundError: no image can be read.
        MissingPackageError: pyarrow is not installed.
        ValueError: see :func:`extract_features`.
    """
    path, kinds = Path(out).expanduser(), tuple(dict.fromkeys(features))
    if not kinds or not set(kinds) <= set(COLUMNS):
        raise ConfigError(f"features {', '.join(kinds) or '()'} must be of {', '.join(COLUMNS)}")
    check_file(path, kinds)
    source = ImageSource(images, suffixes_read(evaluation_pipeline(model).loader.bands))
    if source.contains(path):
        raise ConfigError(f"out '{printable(path)}' is one of the images or archives to read")
    rank, processes = get_dist_info()
    path.parent.mkdir(parents=True, exist_ok=True)
    spool = FeatureSpool(_shared_folder(path, rank))
    try:
        bounds = [len(source) * each // processes for each in (rank, rank + 1)]
        corrupt: dict[int, str] = {}
        non_finite = 0
        batches = feature_batches(
            model,
            source,
            batch_size,
            with_cls="cls" in kinds,
            corrupt=corrupt,
            indices=range(*bounds),
            workers=workers,
            progress=progress if rank == 0 else None,
        )
        for batch in batches:
            names = [source.name(index) for index in batch.indices]
            arrays = _arrays(batch, kinds)
            non_finite += _count_non_finite(arrays)
            spool.append(rank, names, arrays)
        count = len(range(*bounds)) - len(corrupt)
        shares = all_gather_object((count, corrupt, spool.shapes, non_finite))
        done = _merged(path, source, shares)
        if rank == 0:
            spool.shapes = done.shapes
            write_atomically(
                path, lambda file: write_features_file(file, path.suffix, spool, processes)
            )
            _list_corrupt(path, done.corrupt)
            _warn_of_non_finite(done)
        barrier()
        return done
    finally:
        if rank == 0:
            shutil.rmtree(spool.folder, ignore_errors=True)


def _shared_folder(path: Path, rank: int) -> Path:
    """Create a folder next to ``path`` in the first process, and return it in all processes."""
    name = [tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent) if rank == 0 else ""]
    broadcast_object_list(name)
    return Path(name[0])


def _arrays(batch: FeatureBatch, kinds: tuple[str, ...]) -> dict[str, np.ndarray]:
    if "map" in kinds and not batch.maps:
        raise ConfigError("the encoder returns no maps, because it pools them; use pooled features")
    last = batch.maps[-1] if batch.maps else None
    given: dict[str, Any] = dict(pooled=batch.pooled, cls=batch.cls, map=last)
    return {kind: given[kind].float().cpu().numpy() for kind in kinds}


def _merged(path: Path, source: ImageSource, shares: list) -> Embeddings:
    counts, corrupt, shapes, non_finite = zip(*shares, strict=True)
    messages = {source.name(index): text for part in corrupt for index, text in part.items()}
    if not sum(counts):
        raise DataNotFoundError(
            f"none of {len(source)} images can be read: {next(iter(messages.values()))}"
        )
    return Embeddings(path, sum(counts), next(filter(None, shapes)), messages, sum(non_finite))


def _count_non_finite(arrays: dict[str, np.ndarray]) -> int:
    """Return the number of images of a batch with a feature that is NaN or infinite."""
    finite = [np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in arrays.values()]
    return int((~np.all(finite, axis=0)).sum())


def _warn_of_non_finite(done: Embeddings) -> None:
    if done.non_finite:
        print_log(
            f"{done.non_finite} of {done.images} images in '{printable(done.path)}' have features"
            " that are NaN or infinite; check the weights, and compute in float32",
            logger="current",
            level=logging.WARNING,
        )


def _list_corrupt(path: Path, corrupt: dict[str, str]) -> None:
    """Write names and messages next to ``path``, or remove the list of an earlier call."""
    listed = path.with_name(f"{path.name}{CORRUPT_SUFFIX}")
    if not corrupt:
        listed.unlink(missing_ok=True)
        return

    def write(file: Path) -> None:
        with file.open("w", newline="", encoding="utf-8") as text:
            csv.writer(text).writerows([("path", "error"), *corrupt.items()])

    write_atomically(listed, write)
