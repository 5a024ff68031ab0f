"""Predict the classes of images with a fine-tuned classifier.

Unreadable images are reported and skipped. Exit code 0: all images were read. 1: an image was
unreadable, or another error occurred.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import default_collate as collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor

from mim_plugins import get_model
from mim_plugins.apis import override_config, read_config
from mim_plugins.apis.inputs import are_one_size, evaluation_pipeline
from mim_plugins.checkpoints import plain_data_only
from mim_plugins.cli import add_config_options, add_device_option, user_errors
from mim_plugins.datasets.image_files import find_images
from mim_plugins.errors import BUILD_ERRORS, CorruptImageError, DataNotFoundError
from mim_plugins.file_names import printable
from mim_plugins.transforms import LoadImage


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="classification config file, or its name")
    parser.add_argument("checkpoint", help="checkpoint file of a run with this config")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files or folders")
    parser.add_argument("--topk", type=int, default=5, help="classes to print")
    parser.add_argument("--batch-size", type=int, default=32)
    add_device_option(parser)
    add_config_options(parser)
    args = parser.parse_args()
    if args.topk < 1:
        parser.error(f"--topk {args.topk} must be at least 1")
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size} must be at least 1")
    return args


def check(cfg: Config, args: argparse.Namespace) -> None:
    """Exit with one line if the config or a file is unsuitable."""
    if cfg.get("test_dataloader") is None or "head" not in cfg.model:
        sys.exit(f"error: {args.config} is no classification config; give a fine-tuning one")
    for file in (args.checkpoint, *args.images):
        if not os.path.isfile(file) and not (file in args.images and os.path.isdir(file)):
            sys.exit(f"error: there is no file '{printable(file)}'")


def readable_images(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the readable images of files and folders, and the errors of the others.

    Raises:
        DataNotFoundError: no image is readable.
    """
    paths: list[str] = []
    for argument in arguments:
        paths += find_images(argument) if os.path.isdir(argument) else [argument]
    readable, errors = [], []
    for path in paths:
        try:
            LoadImage()(dict(img_path=path))
            readable.append(path)
        except CorruptImageError as error:
            errors.append(str(error))
    if not readable:
        raise DataNotFoundError("; ".join(errors) or f"no images in {', '.join(arguments)}")
    return readable, errors


def class_names(checkpoint: str) -> Sequence[str] | None:
    """Return the class names stored in a checkpoint, None if it contains none."""
    if not checkpoint.endswith(".pth"):
        return None
    with plain_data_only():
        found = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    for key in ("meta", "dataset_meta", "classes"):
        found = found.get(key) if type(found) is dict else None
    is_names = type(found) in (list, tuple) and all(type(name) is str for name in found)
    return found if is_names else None


def main() -> None:
    args = parse_args()
    MMLogger.get_instance("predict", log_level="WARNING")
    with user_errors(also=BUILD_ERRORS):
        cfg = read_config(args.config)
        override_config(cfg, args.cfg_options)
        check(cfg, args)
        init_default_scope(cfg.get("default_scope") or "mmpretrain")
        # the checkpoint contains every weight, so no pre-training checkpoint is needed
        cfg.model.backbone.init_cfg = None
        args.images, errors = readable_images(args.images)
        model = get_model(cfg, args.checkpoint, args.device)
        results, unusable = predict(model, args)
        classes = class_names(args.checkpoint) or getattr(model, "_dataset_meta", {}).get("classes")
        show(args.topk, results, classes)
    errors += unusable
    if errors:
        sys.exit(f"error: {len(errors)} images cannot be read: {'; '.join(errors)}")


@torch.no_grad()
def predict(model: Any, args: argparse.Namespace) -> tuple[list[tuple[str, Tensor]], list[str]]:
    """Return the scores of all classes by image, and the errors of images that cannot be used."""
    pipeline = evaluation_pipeline(model)
    results: list[tuple[str, Tensor]] = []
    errors: list[str] = []
    for start in range(0, len(args.images), args.batch_size):
        images, samples = [], []
        for image in args.images[start : start + args.batch_size]:
            try:
                samples += pipeline(image)
                images.append(image)
            except CorruptImageError as error:
                errors.append(str(error))
        # padding to a common size would change the scores
        batches = [samples] if are_one_size(samples) else [[sample] for sample in samples]
        scores = [
            found.pred_score.cpu() for each in batches for found in model.test_step(collate(each))
        ]
        results += zip(images, scores, strict=True)
    return results, errors


def show(topk: int, results: list[tuple[str, Tensor]], classes: Sequence[str] | None) -> None:
    """Print the most probable classes of each image; unused outputs of the head have no name."""
    for image, scores in results:
        print(printable(image))
        for score, label in zip(*scores.topk(min(topk, len(scores))), strict=True):
            name = printable(classes[label]) if classes and label < len(classes) else ""
            print(f"  {100 * score:6.2f} %  {int(label):5d}  {name}".rstrip())


if __name__ == "__main__":
    main()
