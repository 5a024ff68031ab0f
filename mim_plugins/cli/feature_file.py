"""File with the features of images."""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from ..apis import extract_features, get_model
from ..apis.inputs import evaluation_pipeline
from ..checkpoints import write_atomically
from ..errors import BUILD_ERRORS, CorruptImageError, DataNotFoundError
from ..file_names import printable
from .readable_images import readable_images
from .reported_errors import user_errors


def write_features(args: argparse.Namespace) -> None:
    """Compute features as ``mim-plugins embed`` does; errors of users end the program."""
    out = Path(args.out)
    with user_errors(also=BUILD_ERRORS):
        model = get_model(args.config, args.checkpoint, args.device, cfg_options=args.cfg_options)
        images, errors = readable_images(args.images, evaluation_pipeline(model).loader)
        features, names, unusable = compute_features(model, images, args.batch_size)
        out.parent.mkdir(parents=True, exist_ok=True)
        write = _write_csv if out.suffix == ".csv" else _write_npz
        write_atomically(out, lambda path: write(path, features, names))
    print(f"{len(features)} images, {features.shape[1]} features each: {out}")
    errors += unusable
    if errors:
        sys.exit(f"error: {len(errors)} images cannot be read: {'; '.join(errors)}")


def compute_features(
    model: Any, images: list[str], batch_size: int
) -> tuple[np.ndarray, list[str], list[str]]:
    """Return pooled features (N, D) of image files, their names, and the errors of the others.

    Raises:
        DataNotFoundError: no image can be used.
    """
    rows: list[np.ndarray] = []
    names: list[str] = []
    errors: list[str] = []
    with Progress(console=Console(stderr=True)) as progress:
        for start in progress.track(range(0, len(images), batch_size), description="features"):
            batch = images[start : start + batch_size]
            try:
                found = [(batch, _pooled(model, batch))]
            except CorruptImageError:  # found by the resizing
                found = []
                for image in batch:
                    try:
                        found.append(([image], _pooled(model, [image])))
                    except CorruptImageError as error:
                        errors.append(str(error))
            for paths, pooled in found:
                rows.append(pooled)
                names += map(printable, paths)
    if not rows:
        raise DataNotFoundError("; ".join(errors))
    return np.concatenate(rows), names, errors


def _pooled(model: Any, images: list[str]) -> np.ndarray:
    return extract_features(model, images).pooled.float().cpu().numpy()


def _write_npz(path: Path, features: np.ndarray, names: list[str]) -> None:
    with path.open("wb") as file:  # savez appends .npz to a path, not to a file
        np.savez(file, features=features, paths=np.array(names))


def _write_csv(path: Path, features: np.ndarray, names: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *(f"feature_{n}" for n in range(features.shape[1]))])
        writer.writerows([name, *row.tolist()] for name, row in zip(names, features, strict=True))
