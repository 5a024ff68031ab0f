"""Parts of a k-NN evaluation, built from the config of a run."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from ..checkpoints import load_pretrained
from ..config import type_name
from ..datasets.pipelines import check_not_normalized
from ..datasets.wrappers import base_dataset_configs
from ..errors import ConfigError
from ..registry import MODELS

# MMEngine's repeat images, and the last one replaces corrupt ones, which k-NN leaves out
_REPEATING = ("ClassBalancedDataset", "RepeatDataset", "FaultTolerantDataset")


def is_pretraining(cfg: Config) -> bool:
    """Return whether a config pre-trains, which means that it has no validation data."""
    return cfg.get("val_dataloader") is None


def knn_dataset_configs(cfg: Config, data_root: str | None = None) -> tuple[dict, dict]:
    """Return the configs of the references and the queries.

    A classification config evaluates on its own data sets, both with the validation pipeline and
    without repetition. Wrappers that choose images, such as ``KFoldDataset``, are kept. A
    pre-training config evaluates on the class folders ``train`` and ``val``.

    Args:
        cfg: config of the run.
        data_root: folder with ``train`` and ``val``; None takes that of the pre-training data. A
            classification config ignores it.

    Raises:
        ConfigError: ``data_root`` is None and the pre-training data have several folders, or their
            pipeline normalizes images.
    """
    if is_pretraining(cfg):
        check_not_normalized(cfg.train_dataloader, "train_dataloader")
        train = base_dataset_configs(cfg.train_dataloader.dataset)
        root = _training_root(train) if data_root is None else data_root
        return dict(data_root=root, data_prefix="train"), dict(data_root=root, data_prefix="val")
    queries = cfg.val_dataloader.dataset
    pipeline = base_dataset_configs(queries)[0]["pipeline"]
    return _without_repetition(cfg.train_dataloader.dataset, pipeline), _without_repetition(queries)


def build_backbone(cfg: Config, checkpoint: str | Path | None = None) -> nn.Module:
    """Build the backbone of a model alone, for feature extraction.

    Args:
        cfg: config of the run.
        checkpoint: checkpoint of the run; None initializes the weights randomly with seed 0.

    Raises:
        CheckpointError: the checkpoint cannot be read or does not fit the backbone.
    """
    torch.manual_seed(0)
    backbone = MODELS.build(dict(cfg.model.backbone) | dict(init_cfg=None))
    if checkpoint is None:
        backbone.init_weights()
    else:
        load_pretrained(backbone, checkpoint, "backbone.")
    return backbone


def build_normalization(cfg: Config) -> nn.Module:
    """Build the data preprocessor of a model without its batch transform."""
    settings = dict(cfg.model.get("data_preprocessor") or cfg.get("data_preprocessor") or {})
    settings.pop("batch_transform", None)
    return MODELS.build(dict(type="ClsDataPreprocessor") | settings)


def _training_root(datasets: list[dict]) -> str:
    roots = sorted({dataset.get("data_root") or "" for dataset in datasets})
    if len(roots) > 1:
        raise ConfigError(
            f"the training data come from {len(roots)} folders ({', '.join(roots)}): give the one"
            " that has train/CLASS and val/CLASS with --data-root"
        )
    return roots[0]


def _without_repetition(dataset: dict, pipeline: Any = None) -> dict:
    """Return the config of a data set without wrappers that repeat or replace images.

    Args:
        dataset: config of a data set in any wrappers.
        pipeline: pipeline of the data sets inside, None for their own.
    """
    if "datasets" in dataset:
        parts = [_without_repetition(part, pipeline) for part in dataset["datasets"]]
        return parts[0] if len(parts) == 1 else dataset | dict(datasets=parts)
    if "dataset" in dataset:
        inner = _without_repetition(dataset["dataset"], pipeline)
        is_dropped = type_name(dataset.get("type")) in _REPEATING
        return inner if is_dropped else dataset | dict(dataset=inner)
    return dataset if pipeline is None else dataset | dict(pipeline=pipeline)
