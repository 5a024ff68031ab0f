"""Loaders of labeled images for evaluations, with a center crop by default."""

import logging
from collections.abc import Sequence
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset, Subset

from ..config import type_name
from ..datasets.drop_ins import use_drop_in
from ..datasets.wrappers import base_datasets
from ..errors import DataNotFoundError
from ..file_names import printable
from ..sampling import evenly_spaced
from ..transforms.center_crop import center_crop
from .class_names import class_difference, class_names
from .readable_images import ReadableImages
from .shared_images import count_shared_images


def build_labeled_loader(
    dataset: dict,
    img_size: int | Sequence[int] = 224,
    batch_size: int = 128,
    num_workers: int = 4,
    max_images: int | None = None,
    bands: dict | None = None,
    channels: int = 3,
) -> DataLoader:
    """Build a loader in the order of the data set, split among the processes of the run.

    Args:
        dataset: config of a data set. The default ``type`` is :class:`LabeledImageFolder` with one
            folder per class in ``data_prefix``. The default ``pipeline`` resizes images until
            they cover 256 / 224 of ``img_size`` and crops the center. Both defaults apply to each
            part of a ``ConcatDataset``. Corrupt images are marked, see :class:`ReadableImages`.
        img_size: side or (H, W) of the default crop.
        batch_size: images per process.
        num_workers: loading processes.
        max_images: number of images to read, evenly spaced over the data set (and so over classes
            that are listed one after the other) and always the same; None reads all.
        bands: see :class:`LoadImage`, for the default pipeline.
        channels: channels of the model's images; see :func:`center_crop`.

    Raises:
        DataNotFoundError: a folder or file of the data set is missing.
        ValueError: the data set has no labels or fewer images than there are processes, or
            ``max_images`` is below 1.
    """
    if max_images is not None and max_images < 1:
        raise ValueError(f"max_images={max_images} must be at least 1, or None for all images")
    pipeline = center_crop(img_size, bands=bands, channels=channels)
    built: Dataset = ReadableImages(_build_dataset(_completed(dataset, dict(pipeline=pipeline))))
    total = len(built)  # type: ignore[arg-type]
    if total < get_world_size():
        raise ValueError(f"{total} images are fewer than the {get_world_size()} processes")
    if max_images is not None and max_images < total:
        built = Subset(built, evenly_spaced(total, max_images))
    return Runner.build_dataloader(
        dict(
            dataset=built,
            batch_size=batch_size,
            num_workers=num_workers,
            sampler=dict(type="DefaultSampler", shuffle=False),
            collate_fn=dict(type="default_collate"),
        ),
        seed=0,  # unused without shuffling; None would make the processes draw and share one
    )


def check_same_classes(references: DataLoader, queries: DataLoader) -> None:
    """Check that both data sets assign the same numbers to the same classes.

    Warn of queries that are also references, because they find themselves.

    Raises:
        ValueError: they name different classes, or one without names has more than the other.
    """
    _warn_of_shared_images(references, queries)
    bases = [base for loader in (references, queries) for base in base_datasets(loader.dataset)]
    names = [class_names(base) for base in bases]
    expected = next(filter(None, names), None)
    if expected is None:
        return
    count = len(next(iter(expected.values())))
    for base, found in zip(bases, names, strict=True):
        if difference := class_difference(expected, found):
            raise ValueError(
                f"the queries have other classes than the references: {difference}; their labels"
                " would not mean the same. Give both the same class folders"
            )
        if not found and (label := _highest_label(base)) >= count:
            place = getattr(base, "ann_file", "") or getattr(base, "data_root", "")
            raise ValueError(
                f"'{printable(place)}' has the label {label}, but the other data set has {count}"
                f" classes: number them from 0 to {count - 1}, in the same order"
            )


def _highest_label(dataset: Any) -> int:
    return max(int(dataset.get_data_info(n)["gt_label"]) for n in range(len(dataset)))


def _warn_of_shared_images(references: DataLoader, queries: DataLoader) -> None:
    if is_main_process() and (shared := count_shared_images(references.dataset, queries.dataset)):
        total = len(queries.dataset)  # type: ignore[arg-type]
        print_log(
            f"{shared} of {total} queries are also among the references and find themselves, so the"
            " accuracy is too high; give other images as queries (is one folder a link to the"
            " other?)",
            logger="current",
            level=logging.WARNING,
        )


def _completed(dataset: dict, defaults: dict) -> dict:
    """Return a copy of a config with the defaults in it, or in the data sets that it wraps."""
    cfg = dict(dataset)
    if "datasets" in cfg:
        cfg["datasets"] = [_completed(part, defaults) for part in cfg["datasets"]]
    elif "dataset" in cfg:
        cfg["dataset"] = _completed(cfg["dataset"], defaults)
    else:
        cfg = dict(type="mim_plugins.LabeledImageFolder") | defaults | cfg
        scope = DefaultScope.get_current_instance()
        use_drop_in(cfg, scope.scope_name if scope else "mmpretrain")
    return cfg


def _build_dataset(cfg: dict) -> Dataset:
    from mmpretrain.registry import DATASETS

    where = f"{cfg.get('data_root', '')}, {cfg.get('data_prefix', cfg.get('split', ''))}"
    try:
        built = DATASETS.build(cfg)
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, DataNotFoundError):
            raise DataNotFoundError(f"no labeled images: {error}") from error
        raise DataNotFoundError(
            f"no labeled images for {type_name(cfg['type'])} ({where}): {error}. Expected"
            " ROOT/train/CLASS/IMAGE.JPEG and ROOT/val/CLASS/IMAGE.JPEG"
        ) from error
    if "gt_label" not in built.get_data_info(0):
        raise ValueError(
            f"{type_name(cfg['type'])} ({where}) has no labels (gt_label); give a data set with"
            " labels, such as mim_plugins.LabeledImageFolder"
        )
    return built
