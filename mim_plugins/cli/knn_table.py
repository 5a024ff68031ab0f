"""Accuracy of a weighted k-NN classifier on a backbone's features, printed as a table."""

import argparse

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.progress import Progress
from torch import nn
from torch.utils.data import DataLoader

from ..apis import override_config, read_config
from ..apis.knn import (
    build_backbone,
    build_normalization,
    is_pretraining,
    knn_dataset_configs,
)
from ..checks import consistency
from ..data_preprocessors import check_file_colors
from ..datasets.wrappers import loading_bands
from ..errors import BUILD_ERRORS
from ..evaluation import (
    PRECISIONS,
    LabeledFeatures,
    build_knn_loaders,
    check_neighbors,
    extract_features,
    knn_accuracy,
)
from . import run_config
from .machine import this_machine
from .reported_errors import user_errors


def read_run_config(args: argparse.Namespace) -> Config:
    """Return the config with all options applied; ``args.data_root`` becomes the data root."""
    cfg = read_config(args.config)
    options = dict(args.cfg_options)
    if args.data_root is None:
        args.data_root = options.pop("data_root", None)
    override_config(cfg, options)
    cfg.default_scope = cfg.get("default_scope") or "mmpretrain"
    init_default_scope(cfg.default_scope)
    if not is_pretraining(cfg):
        run_config.apply_data_root(cfg, args.data_root)
        run_config.check_data_folders(cfg, ("train_dataloader", "val_dataloader"))
        run_config.use_drop_ins(cfg)
    return cfg


def usable_ks(ks: list[int], references: int, temperature: float) -> list[int]:
    """Leave out numbers of neighbors that exceed the references.

    Raises:
        ValueError: every k exceeds the number of references, or one is below 1.
    """
    usable = [k for k in ks if k <= references]
    for k in sorted(set(ks) - set(usable)) if usable else ():
        print(f"k={k} is left out: the data set has only {references} reference images")
    check_neighbors(usable or ks, references, temperature)
    return usable


def compute_features(
    backbone: nn.Module,
    data_preprocessor: nn.Module,
    loader: DataLoader,
    args: argparse.Namespace,
    title: str,
) -> LabeledFeatures:
    """Extract the features of a data set, with a progress bar."""
    with Progress(console=Console(stderr=True)) as progress:
        images = len(loader.dataset)  # type: ignore[arg-type]
        task = progress.add_task(f"features of {images} {title}", total=len(loader))
        features = extract_features(
            backbone,
            data_preprocessor,
            loader,
            PRECISIONS[args.precision],
            lambda *_: progress.advance(task),
        )
    return features.to(args.device)


def print_knn_table(args: argparse.Namespace) -> None:
    """Evaluate as ``mim-plugins knn`` does; errors of users end the program."""
    with user_errors(also=BUILD_ERRORS):
        _evaluate(args)


def _evaluate(args: argparse.Namespace) -> None:
    """Print a table with the accuracy for every k."""
    cfg = read_run_config(args)
    loaders = build_knn_loaders(
        knn_dataset_configs(cfg, args.data_root),
        cfg.model.backbone.get("img_size", 224),
        args.batch_size,
        this_machine().workers if args.workers is None else args.workers,
        (args.max_references, args.max_queries),
        loading_bands(cfg.train_dataloader.dataset),
        cfg.model.backbone.get("in_channels", 3),
    )
    datasets = dict(zip(("references", "queries"), (each.dataset for each in loaders), strict=True))
    ks = usable_ks(args.k, len(datasets["references"]), args.temperature)  # type: ignore[arg-type]
    if args.random:
        MMLogger.get_current_instance().setLevel("WARNING")  # omits a line per parameter
    backbone = build_backbone(cfg, args.checkpoint).to(args.device)
    data_preprocessor = build_normalization(cfg).to(args.device)
    if is_pretraining(cfg):
        check_file_colors(backbone, data_preprocessor, cfg.train_dataloader, "k-NN")
    for warning in consistency.check_features(
        backbone, data_preprocessor, datasets, args.checkpoint
    ):
        print(f"note: {warning}")
    references, queries = (
        compute_features(backbone, data_preprocessor, loader, args, title)
        for loader, title in zip(loaders, datasets, strict=True)
    )
    ks = usable_ks(ks, len(references.labels), args.temperature)  # corrupt images are left out
    print(
        f"{len(references.labels)} references, {len(queries.labels)} queries,"
        f" {references.features.shape[1]} features, temperature {args.temperature}"
    )
    print(f"{'k':>5}{'top-1 %':>10}{'top-5 %':>10}")
    for k, accuracy in knn_accuracy(references, queries, ks, args.temperature).items():
        print(f"{k:5d}{accuracy.top1:10.2f}{accuracy.top5:10.2f}")
