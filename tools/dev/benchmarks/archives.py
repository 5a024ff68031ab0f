"""Measure images per second and core from a folder and from packs of it, and mmpretrain's.

The packs are written to a temporary folder: all images unchanged, and shrunk to a short side. One
Parquet file has row groups of 100 rows, as those of Hugging Face. All contestants crop the same
images, in turn, as in data_pipeline.py.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arguments import positive
from data_pipeline import FAST, PEER, Crops, compete
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from pyarrow import concat_tables, parquet

from mim_plugins.datasets import UnlabeledImageFolder
from mim_plugins.errors import UserError
from mim_plugins.evaluation.labeled_loader import center_crop

sys.path.insert(0, str(Path(__file__).parents[2] / "dataset_converters"))
import pack

KINDS = ("tar", "lmdb", "parquet")
_ROWS = 100  # per row group
_REPETITIONS = 5


class RandomCrops(Crops):
    """Crops in random order, as in training."""

    def __init__(self, name: str, data_root: str, count: int) -> None:
        super().__init__(name, data_root, count)
        self.order = np.random.default_rng(0).permutation(count).tolist()

    def __getitem__(self, index: int) -> dict:
        """Return a packed crop."""
        return super().__getitem__(self.order[index])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_root", help="folder of images")
    parser.add_argument("--formats", nargs="+", choices=KINDS, default=KINDS, help="of the packs")
    parser.add_argument("--short-side", type=positive, default=288, help="of the smaller packs")
    parser.add_argument("--quality", type=positive, default=95, help="JPEG quality of these")
    parser.add_argument("--images", type=positive, default=448, help="crops in a measurement")
    parser.add_argument("--batch", type=positive, default=64, help="crops in a batch")
    parser.add_argument("--repeats", type=positive, default=5, help="measurements of each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    args = parser.parse_args()
    if args.images < 2 * args.batch:
        parser.error("--images must be at least 2 * --batch")
    return args


def write_packs(args: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Write the packs, and return their paths by name."""
    small = ["--short-side", str(args.short_side), "--quality", str(args.quality)]
    packs: dict[str, Path] = {}
    for kind in args.formats:
        for name, options in ((kind, []), (f"{kind}, {args.short_side} px", small)):
            packs[name] = folder / f"{len(packs)}.{kind}"
            pack.main([args.data_root, str(packs[name]), "--workers", "1", *options])
    if "parquet" in packs:
        wide = write_wide_groups(packs["parquet"], folder / "wide.parquet")
        packs[f"parquet, {_ROWS} rows"] = wide
    return packs


def megabytes(path: Path) -> float:
    """Return the size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def mean_difference(first: Path, second: Path) -> float:
    """Return the mean absolute difference of central crops, in levels of 0 to 255."""
    pipeline = center_crop(224)
    one_set, other_set = (UnlabeledImageFolder(str(r), pipeline=pipeline) for r in (first, second))
    differences = [
        (one["inputs"].float() - other["inputs"].float()).abs().mean().item()
        for one, other in zip(one_set, other_set, strict=False)
    ]
    return sum(differences) / len(differences)


def write_wide_groups(source: Path, path: Path) -> Path:
    """Write a Parquet file again with the row groups of Hugging Face's ``datasets``.

    It is repeated, because a reader keeps a few groups.
    """
    table = concat_tables([parquet.read_table(source)] * _REPETITIONS)
    parquet.write_table(table, path, row_group_size=_ROWS)
    return path


def run(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Measure all contestants, and return size, speed and difference by name."""
    with tempfile.TemporaryDirectory() as temporary:
        roots = dict(folder=Path(args.data_root)) | write_packs(args, Path(temporary))
        contestants: dict[str, Crops] = {PEER: RandomCrops(PEER, args.data_root, args.images)}
        contestants |= {n: RandomCrops(FAST, str(root), args.images) for n, root in roots.items()}
        contestants[PEER].warm_file_cache()
        results = compete(contestants, args, workers=1)
        torch.set_num_threads(1)
        for name, root in (roots | {PEER: roots["folder"]}).items():
            results[name]["megabytes"] = megabytes(root)
            results[name]["difference"] = mean_difference(root, roots["folder"])
        return results


def table(results: dict[str, dict[str, Any]]) -> str:
    """Format a line per contestant."""
    lines = [
        f"{'data':18} {'MB':>8} {'images/s per core':>18} {'(min - max)':>15} {'speed-up':>9}"
        f" {'(min - max)':>13} {'difference':>11}"
    ]
    for name, row in results.items():
        rate, gain = row["per_core"], row["speedup"]
        lines.append(
            f"{name:18} {row['megabytes']:8.1f} {rate['median']:18.0f}"
            f" {'{min:.0f} - {max:.0f}'.format(**rate):>15} {gain['median']:9.2f}"
            f" {'{min:.2f} - {max:.2f}'.format(**gain):>13} {row['difference']:11.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    args = parse_args()
    MMLogger.get_instance("benchmark", log_level="WARNING")
    init_default_scope("mmpretrain")  # where the peer finds its transforms
    if not os.path.isdir(args.data_root):
        sys.exit(f"error: there is no folder '{args.data_root}'")
    try:
        results = run(args)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(table(results))
    print(
        f"speed-up against {PEER} on the folder; mean absolute difference of central crops from"
        " those of the folder, of 255 levels"
    )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
