"""Consistency checks before a run: data sets, model, metrics and batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_world_size
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.registry import EVALUATOR, DefaultScope
from mmengine.runner import Runner
from mmengine.runner.runner import _SlicedDataset
from torch.utils.data import DataLoader

from ..algorithms import used_mimics
from ..algorithms.dependent_parts import image_channels
from ..apis.models import build_model
from ..engine.batch_images import images_per_batch
from ..errors import BUILD_ERRORS, ConfigError
from ..randomness import preserved_random_state
from .head_classes import has_base_named, innermost_model
from .image_check import check_channels, check_images, read_samples, try_first_batch
from .label_check import check_labels
from .metric_check import check_followed_metrics
from .normalization_check import check_normalization, compare_normalization
from .paramwise_check import check_custom_keys
from .process_check import check_processes
from .schedule_check import unreached_evaluations
from .single_image import rejects_one_image


def check_training(runner: Runner) -> list[str]:
    """Check the data sets, model, metrics and batches of a training run that is built.

    Returns:
        Warnings, one line each.

    Raises:
        ConfigError: settings are inconsistent; see :func:`check_processes`, :func:`check_labels`,
            :func:`check_images`, :func:`check_normalization`, :func:`check_batches`,
            :func:`check_followed_metrics`, :func:`check_custom_keys` and :func:`try_first_batch`.
    """
    model = innermost_model(runner.model)
    loops = dict(train=runner.train_loop, val=runner.val_loop)
    datasets, metrics = _datasets_and_metrics(loops)
    check_processes(model, datasets)
    check_lengths(datasets)
    check_batches(model, runner.train_dataloader)
    evaluator = getattr(runner.val_loop, "evaluator", runner.val_loop)
    warnings = _check_settings(runner.cfg, model, evaluator)
    warnings += check_normalization(model, datasets, runner.cfg.get("load_from"))
    warnings += check_labels(model, datasets, metrics) + check_images(model, datasets)
    if not is_model_wrapper(runner.model) or "FullySharded" not in type(runner.model).__name__:
        try_first_batch(model, runner.train_dataloader.dataset)
    return warnings


def check_evaluation(runner: Runner, trained_on: Sequence[str] | None) -> list[str]:
    """Check the data set, model and metrics of an evaluation.

    Args:
        runner: runner with a test loop.
        trained_on: class names from the checkpoint, None if it contains none.

    Returns:
        Warnings, one line each.

    Raises:
        ConfigError: see :func:`check_training`.
    """
    model = innermost_model(runner.model)
    datasets, metrics = _datasets_and_metrics(dict(test=runner.test_loop))
    check_lengths(datasets)
    warnings = check_normalization(model, datasets, runner.cfg.get("load_from"))
    warnings += check_images(model, datasets)
    if trained_on is None:
        datasets = _training_set(runner.cfg) | datasets
    return check_labels(model, datasets, metrics, trained_on) + warnings


def check_features(
    backbone: Any,
    preprocessor: Any,
    datasets: Mapping[str, Any],
    checkpoint: str | None = None,
) -> list[str]:
    """Check the images of data sets against a backbone used for feature extraction.

    Args:
        backbone: backbone that extracts the features.
        preprocessor: data preprocessor.
        datasets: built data sets by name.
        checkpoint: file whose weights the backbone has, None for random ones.

    Returns:
        Warnings, see :func:`compare_normalization`.

    Raises:
        ConfigError: see :func:`check_channels` and :func:`compare_normalization`.
    """
    for field, dataset in datasets.items():
        check_channels(backbone, preprocessor, field, read_samples(dataset, field, 2))
    checkpoints = [] if checkpoint is None else [str(checkpoint)]
    return compare_normalization(checkpoints, backbone, preprocessor, datasets)


def check_config(cfg: Config) -> list[str]:
    """Build and check the data sets, model and metrics of a config, without teachers.

    Returns:
        Warnings, one line each.

    Raises:
        ConfigError: see :func:`check_training`. Other exceptions from building propagate.
    """
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "mmpretrain"):
        loaders = {
            field: Runner.build_dataloader(cfg[field], seed=0)
            for field in ("train_dataloader", "val_dataloader", "test_dataloader")
            if cfg.get(field)
        }
        evaluators = {
            field: _build_evaluator(cfg[field])
            for field in ("val_evaluator", "test_evaluator")
            if cfg.get(field)
        }
    metrics = {field: evaluator.metrics for field, evaluator in evaluators.items()}
    model = build_model(cfg, teachers=False)
    datasets = {field: loader.dataset for field, loader in loaders.items()}
    check_lengths(datasets)
    training = loaders.get("train_dataloader")
    warnings = []
    if training is not None:
        check_batches(model, training)
        warnings = _check_settings(cfg, model, evaluators.get("val_evaluator"))
    warnings += check_normalization(model, datasets, cfg.get("load_from"))
    warnings += check_labels(model, datasets, metrics)
    warnings += check_images(model, datasets, bool(used_mimics("model", cfg.model.get("mimics"))))
    if training is not None:
        try_first_batch(model, training.dataset)
    return warnings


def _build_evaluator(cfg: Any) -> Evaluator:
    """Build an evaluator as MMEngine's runner does."""
    if isinstance(cfg, dict) and "metrics" in cfg:
        return EVALUATOR.build({"type": "Evaluator", **cfg})
    return Evaluator(cfg)


def _check_settings(cfg: Config, model: Any, evaluator: Any) -> list[str]:
    """Check settings that would fail, or have no effect, only in the course of a training."""
    warnings = check_followed_metrics(cfg, evaluator)
    return warnings + check_custom_keys(cfg, model) + unreached_evaluations(cfg)


def check_lengths(datasets: Mapping[str, Any]) -> None:
    """Check that ``num_batch_per_epoch``, which shortens epochs, does not exceed the data sets.

    Raises:
        ConfigError: MMEngine would read images beyond the end of a data set.
    """
    for field, dataset in datasets.items():
        if isinstance(dataset, _SlicedDataset) and len(dataset) > len(dataset._dataset):
            raise ConfigError(
                f"{field}.num_batch_per_epoch needs {len(dataset)} images, but the data set"
                f" contains {len(dataset._dataset)}; set a smaller number, or omit it"
            )


def check_batches(model: Any, loader: DataLoader) -> None:
    """Check that every batch of a process has two images if the model needs them.

    Raises:
        ConfigError: a batch, or the last one of an epoch, has a single image, but the model mixes
            images or normalizes features over the batch.
    """
    size, images = images_per_batch(loader), _images_before_single(loader)
    if size != 1 and images is None:
        return
    needs = _reason_for_two_images(model, loader)
    if needs is None:
        return
    if size == 1:
        raise ConfigError(
            f"train_dataloader.batch_size=1: {needs} at least 2 images per process; set a larger"
            " batch_size"
        )
    share = f" of {get_world_size()} processes" if get_world_size() > 1 else ""
    raise ConfigError(
        f"train_dataloader.batch_size={size} with drop_last=False leaves a last batch of 1"
        f" image ({images} images per epoch{share}): {needs} at least 2 images per process; set"
        " train_dataloader.drop_last=True, or another batch_size"
    )


def _reason_for_two_images(model: Any, loader: DataLoader) -> str | None:
    transform = getattr(model.data_preprocessor, "batch_transform", None)
    if transform is not None:
        image = torch.zeros(1, image_channels(model.backbone), *model.backbone.img_size)
        try:
            with preserved_random_state(cuda=False):
                transform(image)
        except ValueError:
            return "mixing needs"
    rejects = rejects_one_image(model, loader)
    return "batch normalization (BatchNorm) needs" if rejects else None


def _images_before_single(loader: DataLoader) -> int | None:
    """Return the images per epoch of a process whose last batch is one image, or None."""
    batches: Any = loader.batch_sampler
    sampler: Any = getattr(batches, "sampler", None)
    size = images_per_batch(loader)
    if size is None or getattr(batches, "drop_last", False) or not hasattr(sampler, "__len__"):
        return None
    if "Infinite" in type(sampler).__name__ or has_base_named(sampler, "MultiSourceSampler"):
        return None  # endless: all batches are full
    shares = all_gather_object(len(sampler))  # shares differ without round_up
    return next((share for share in shares if share % size == 1), None)


def _training_set(cfg: Config) -> dict[str, Any]:
    """Return the training set of a config; empty if its data are not available."""
    if not cfg.get("train_dataloader"):
        return {}
    try:
        return dict(train_dataloader=Runner.build_dataloader(cfg.train_dataloader, seed=0).dataset)
    except (*BUILD_ERRORS, RuntimeError):
        return {}


def _datasets_and_metrics(loops: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Sequence[Any]]]:
    """Return data sets and metrics of built loops by config field."""
    datasets = {
        f"{name}_dataloader": loop.dataloader.dataset
        for name, loop in loops.items()
        if loop is not None
    }
    metrics = {
        f"{name}_evaluator": loop.evaluator.metrics
        for name, loop in loops.items()
        if hasattr(getattr(loop, "evaluator", None), "metrics")
    }
    return datasets, metrics
