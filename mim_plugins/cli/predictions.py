"""Predictions of a classifier, printed as a list."""

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

from ..apis import get_model, override_config, read_config
from ..apis.inputs import are_one_size, evaluation_pipeline
from ..archives import image_exists
from ..checkpoints import trained_classes
from ..datasets.archive_places import is_archive_place
from ..datasets.image_files import suffixes_read
from ..datasets.image_places import images_at
from ..errors import BUILD_ERRORS, CorruptImageError, DataNotFoundError
from ..file_names import printable
from ..wording import counted
from .reported_errors import user_errors


def check(cfg: Config, args: argparse.Namespace) -> None:
    """Exit with one line if the config or a file is unsuitable."""
    if cfg.get("test_dataloader") is None or "head" not in cfg.model:
        sys.exit(f"error: {args.config} is no classification config; give a fine-tuning one")
    for file in (args.checkpoint, *args.images):
        is_place = os.path.isdir(file) or is_archive_place(file) or image_exists(file)
        if not os.path.isfile(file) and not (file in args.images and is_place):
            sys.exit(f"error: there is no file '{printable(file)}'")


def print_predictions(args: argparse.Namespace) -> None:
    """Predict as ``mim-plugins predict`` does; errors of users end the program."""
    MMLogger.get_instance("predict", log_level="WARNING")
    with user_errors(also=BUILD_ERRORS):
        cfg = read_config(args.config)
        override_config(cfg, args.cfg_options)
        check(cfg, args)
        init_default_scope(cfg.get("default_scope") or "mmpretrain")
        model = get_model(cfg, args.checkpoint, args.device)
        given, suffixes = args.images, suffixes_read(evaluation_pipeline(model).loader.bands)
        args.images = [path for place in given for path in images_at(place, suffixes)]
        results, errors = predict(model, args)
        if not results:
            raise DataNotFoundError("; ".join(errors) or f"no images in {', '.join(given)}")
        classes = trained_classes(args.checkpoint) or getattr(model, "_dataset_meta", {}).get(
            "classes"
        )
        show(args.topk, results, classes)
    if errors:
        sys.exit(f"error: {counted(len(errors), 'image')} cannot be read: {'; '.join(errors)}")


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
