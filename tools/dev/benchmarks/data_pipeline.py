"""Measure images per second and core of the pre-training data pipelines, ours and mmpretrain's.

All pipelines make the same crops of the same files. Every measurement starts new worker processes,
and the pipelines alternate, so a disturbance affects all of them. The first batch of each worker is
not counted. Rates per core use CPU time, which other programs on the machine disturb less than wall
time; on an idle machine, both columns agree.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from arguments import positive
from meters import spread
from mmengine.dataset import default_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader, Dataset, get_worker_info

from mim_plugins.datasets import UnlabeledImageFolder
from mim_plugins.errors import CorruptImageError, DataNotFoundError

PEER, FAST, TO_END, EXACT = "mmpretrain", "ours, fast", "ours, to end", "ours, exact"
CROP = dict(scale=224, crop_ratio_range=(0.2, 1.0))


def _ours(**options: Any) -> list[dict]:
    load = dict(type="mim_plugins.LoadRandomResizedCrop", flip_prob=0.5, **options, **CROP)
    return [load, dict(type="PackInputs", meta_keys=("img_path",))]


PIPELINES = {
    PEER: [
        dict(type="LoadImageFromFile"),
        dict(type="RandomResizedCrop", backend="pillow", interpolation="bicubic", **CROP),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PackInputs"),
    ],
    FAST: _ours(backend="fast"),  # later epochs of a recipe
    TO_END: _ours(backend="fast", check_full_file=True),  # first epoch of a recipe
    EXACT: _ours(backend="exact"),
}
GPU_RATES = (500, 1000, 2000, 4000)  # images/s


class Crops(Dataset):
    """Random crops of the images in a folder, each determined by its index.

    Args:
        name: name of the pipeline.
        data_root: folder of images.
        count: number of crops, evenly spaced over the images, or of repeated images if the folder
            has fewer.
    """

    def __init__(self, name: str, data_root: str, count: int) -> None:
        self.images = UnlabeledImageFolder(data_root, pipeline=PIPELINES[name])
        self.count = count
        self.step = max(1, len(self.images) // count)

    def __len__(self) -> int:
        """Return the number of crops."""
        return self.count

    def __getitem__(self, index: int) -> dict:
        """Return a packed crop."""
        np.random.seed(index)
        return self.images[index * self.step % len(self.images)]

    def warm_file_cache(self) -> None:
        """Read every file once."""
        for index in range(min(self.count, len(self.images))):
            Path(self.images.get_data_info(index * self.step)["img_path"]).read_bytes()


def parse_args() -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data_root", help="folder of images, with sub-folders or without")
    parser.add_argument("--images", type=int, default=2048, help="crops in a measurement")
    parser.add_argument("--batch", type=positive, default=64, help="crops in a batch")
    parser.add_argument("--repeats", type=positive, default=5, help="measurements of each pipeline")
    parser.add_argument(
        "--workers", type=int, default=cores, help="measure with 1 worker and with this number"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    args = parser.parse_args()
    if not 1 <= args.workers <= cores:
        parser.error(f"--workers must be from 1 to {cores}, the available cores")
    if args.images < 2 * args.batch * args.workers:
        parser.error("--images must be at least 2 * --batch * --workers")
    return args


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)  # as in MMEngine's workers


def _collate(samples: list[dict]) -> dict:
    worker = get_worker_info()
    assert worker is not None  # the loaders always have workers
    return default_collate(samples) | dict(worker=worker.id, cpu_s=time.process_time())


def measure(crops: Crops, batch: int, workers: int) -> dict[str, float]:
    """Return the images per second of CPU time, and per second of wall time and worker."""
    loader = DataLoader(
        crops,
        batch_size=batch,
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_one_thread,
        multiprocessing_context="fork",
    )
    first: dict[int, float] = {}
    cpu_s: dict[int, float] = {}
    images = 0
    start = time.perf_counter()
    for data in loader:
        worker = data["worker"]
        if worker in first:
            images += len(data["inputs"])
            cpu_s[worker] = data["cpu_s"] - first[worker]
        else:
            first[worker] = data["cpu_s"]
            start = time.perf_counter()
    seconds = time.perf_counter() - start
    return dict(per_core=images / sum(cpu_s.values()), wall=images / seconds / workers)


def compete(contestants: dict[str, Crops], args: argparse.Namespace, workers: int) -> dict:
    """Measure the pipelines in turn, A B C A B C ..., and return the spreads for each name."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    for _ in range(args.repeats):
        for name, crops in contestants.items():
            runs[name].append(measure(crops, args.batch, workers))
    peer = runs[PEER]
    result = {}
    for name, own in runs.items():
        ratios = [a["per_core"] / b["per_core"] for a, b in zip(own, peer, strict=True)]
        result[name] = dict(
            per_core=spread([run["per_core"] for run in own]),
            wall=spread([run["wall"] for run in own]),
            speedup=spread(ratios),
        )
    return result


def mean_abs_diff(crops: Crops, peer: Crops) -> float:
    """Return the mean absolute difference of pixels over all crops, in levels of 0 to 255."""
    differences = [
        (crops[index]["inputs"].float() - peer[index]["inputs"].float()).abs().mean().item()
        for index in range(len(peer))
    ]
    return sum(differences) / len(differences)


def table(result: dict) -> str:
    """Format one line per number of workers and pipeline."""
    lines = [
        f"{'workers':>7}  {'pipeline':12} {'images/s per core':>18} {'(min - max)':>15}"
        f" {'wall time':>13} {'speed-up':>9} {'(min - max)':>13}"
    ]
    for workers, rows in result["workers"].items():
        for name, row in rows.items():
            rate, gain = row["per_core"], row["speedup"]
            lines.append(
                f"{workers:>7}  {name:12} {rate['median']:18.0f}"
                f" {'{min:.0f} - {max:.0f}'.format(**rate):>15} {row['wall']['median']:13.0f}"
                f" {gain['median']:9.2f} {'{min:.2f} - {max:.2f}'.format(**gain):>13}"
            )
    rates = {FAST: result["images_per_s"], PEER: result["peer_images_per_s"]}
    lines.append("cores needed to feed a GPU of " + ", ".join(map(str, GPU_RATES)) + " images/s:")
    for name, rate in rates.items():
        lines.append(f"  {name:12} " + ", ".join(f"{gpu / rate:.1f}" for gpu in GPU_RATES))
    return "\n".join(lines)


def run(args: argparse.Namespace) -> dict:
    """Measure all pipelines, and return the JSON object."""
    contestants = {name: Crops(name, args.data_root, args.images) for name in PIPELINES}
    contestants[PEER].warm_file_cache()
    workers = {count: compete(contestants, args, count) for count in sorted({1, args.workers})}
    ours, peer = workers[1][FAST]["per_core"]["median"], workers[1][PEER]["per_core"]["median"]
    torch.set_num_threads(1)
    return dict(
        images_per_s=ours,
        peer_images_per_s=peer,
        speedup=ours / peer,
        mean_abs_diff=mean_abs_diff(contestants[FAST], contestants[PEER]),
        exact_mean_abs_diff=mean_abs_diff(contestants[EXACT], contestants[PEER]),
        files=min(args.images, len(contestants[PEER].images)),
        images=args.images,
        batch=args.batch,
        repeats=args.repeats,
        workers=workers,
    )


def main() -> None:
    args = parse_args()
    MMLogger.get_instance("benchmark", log_level="WARNING")
    init_default_scope("mmpretrain")  # where the peer finds its transforms
    try:
        result = run(args)
    except (CorruptImageError, DataNotFoundError) as error:
        sys.exit(f"error: {error}")
    print(
        f"{args.images} crops of {result['files']} files, batches of {args.batch}; medians of"
        f" {args.repeats} alternating measurements"
    )
    print(table(result))
    print(
        f"{FAST} against {PEER}: speed {result['speedup']:.2f}, mean absolute difference"
        f" {result['mean_abs_diff']:.2f} of 255 levels"
        f" (exact backend: {result['exact_mean_abs_diff']:.2f})"
    )
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
