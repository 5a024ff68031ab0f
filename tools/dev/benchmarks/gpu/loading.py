"""Data loading, on photographs or on images of noise."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import cv2
import data_pipeline
import numpy as np
from gpu.deadline import Deadline
from gpu.job import Job
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

SIZE = (400, 500)  # height and width, in pixels
QUALITY = 92  # about 110 KB per image, as in ImageNet
FULL = dict(images=1024, batch=64, repeats=3)
SMALL = dict(images=8, batch=2, repeats=1)
WORKERS = 8


def run_loading(
    data_root: Path | None, out: Path, deadline: Deadline, small: bool, cores: int
) -> dict[str, Any]:
    """Measure all pipelines; without ``data_root``, on images that are made for it."""
    settings = (SMALL if small else FULL) | dict(workers=1 if small else min(cores, WORKERS))
    job = Job(measure, data_root, out / "images", settings, log=out / "loading.log")
    job.start()
    images = "photographs" if data_root else "images of smooth noise"
    return dict(pixels=images) | job.result(deadline.left())


def measure(data_root: Path | None, made: Path, settings: dict[str, int]) -> dict[str, Any]:
    """Return the result of data_pipeline.py."""
    MMLogger.get_instance("benchmark", log_level="WARNING")
    init_default_scope("mmpretrain")  # where the peer finds its transforms
    if data_root is None:
        write_noise(made, min(200, settings["images"]))
    return data_pipeline.run(Namespace(data_root=str(data_root or made), **settings))


def write_noise(folder: Path, count: int) -> None:
    """Write JPEG files whose spectrum falls with the frequency, as that of photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    height, width = SIZE
    for index in range(count):
        image = np.full((height, width, 3), 128.0)
        for scale in (1, 4, 16, 64):
            shape = (-(-height // scale), -(-width // scale), 3)
            noise = generator.normal(0, 6 * scale**0.5, shape)
            image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        pixels = image.clip(0, 255).astype(np.uint8)
        file = folder / f"{index:04d}.jpg"
        cv2.imwrite(str(file), pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
