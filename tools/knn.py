"""Weighted k-NN accuracy of a backbone's features, without any training.

CONFIG may be for pre-training: DATA_ROOT then holds train/CLASS/IMAGE and val/CLASS/IMAGE. With a
classification config, its own data sets are read, both without augmentation.
"""

import argparse
import sys

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar
from torch.utils.data import DataLoader

import mim_plugins  # noqa: F401  registers everything
from mim_plugins.apis import override_config, read_config
from mim_plugins.checkpoints import load_pretrained
from mim_plugins.checks import consistency
from mim_plugins.cli import (
    add_config_options,
    add_device_option,
    run_config,
    user_errors,
)
from mim_plugins.cli.data_root import unwrapped_configs
from mim_plugins.engine.hooks.knn_hook import PRECISIONS
from mim_plugins.errors import BUILD_ERRORS, ConfigError
from mim_plugins.evaluation import (
    LabeledFeatures,
    build_labeled_loader,
    check_neighbors,
    check_same_classes,
    extract_features,
    knn_accuracy,
)
from mim_plugins.registry import MODELS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="config file, or a name such as mixmae/swin_b_600e")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file of a run with this config")
    parser.add_argument("--random", action="store_true", help="evaluate random weights, seed 0")
    parser.add_argument("--data-root", help="folder of the data, in place of the config's")
    parser.add_argument("--k", type=int, nargs="+", default=[10, 20, 100, 200], metavar="K")
    parser.add_argument("--temperature", type=float, default=0.07)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=4, help="loading processes")
    parser.add_argument("--max-references", type=int, help="look in so many images, evenly spaced")
    parser.add_argument("--max-queries", type=int, help="classify so many images, evenly spaced")
    add_device_option(parser)
    parser.add_argument("--precision", choices=list(PRECISIONS), default="float32")
    add_config_options(parser)
    args = parser.parse_args()
    if (args.checkpoint is None) != args.random:
        parser.error("give either a checkpoint or --random")
    return args


def build_backbone(cfg: Config, args: argparse.Namespace) -> torch.nn.Module:
    torch.manual_seed(0)
    backbone = MODELS.build(dict(cfg.model.backbone) | dict(init_cfg=None))
    if args.random:
        MMLogger.get_current_instance().setLevel("WARNING")  # else it names every parameter
        backbone.init_weights()
    else:
        load_pretrained(backbone, args.checkpoint, "backbone.")
    return backbone.to(args.device)


def build_data_preprocessor(cfg: Config, device: str) -> torch.nn.Module:
    """The config's, for evaluation: nothing but normalization is left."""
    settings = dict(cfg.model.get("data_preprocessor") or cfg.get("data_preprocessor") or {})
    settings.pop("batch_transform", None)
    return MODELS.build(dict(type="ClsDataPreprocessor") | settings).to(device)


def build_loaders(cfg: Config, args: argparse.Namespace) -> list[DataLoader]:
    img_size = cfg.model.backbone.get("img_size", 224)
    limits = (args.max_references, args.max_queries)
    return [
        build_labeled_loader(dataset, img_size, args.batch_size, args.workers, limit)
        for dataset, limit in zip(labeled_datasets(cfg, args.data_root), limits, strict=True)
    ]


def labeled_datasets(cfg: Config, data_root: str | None) -> list[dict]:
    """Configs of the references and the queries."""
    train = unwrapped_configs(cfg.train_dataloader.dataset)
    if is_pretraining(cfg):
        roots = (
            [data_root] if data_root else sorted({part.get("data_root") or "" for part in train})
        )
        if len(roots) > 1:
            raise ConfigError(
                f"the training data come from {len(roots)} folders ({', '.join(roots)}): give the"
                " one that has train/CLASS and val/CLASS with --data-root"
            )
        return [dict(data_root=roots[0], data_prefix=split) for split in ("train", "val")]
    run_config.apply_data_root(cfg, data_root)
    run_config.require_data(cfg, ("train_dataloader", "val_dataloader"))
    run_config.use_drop_ins(cfg)
    queries = unwrapped_configs(cfg.val_dataloader.dataset)
    pipeline = queries[0]["pipeline"]
    return [concatenated([part | dict(pipeline=pipeline) for part in train]), concatenated(queries)]


def is_pretraining(cfg: Config) -> bool:
    return cfg.get("val_dataloader") is None


def concatenated(datasets: list[dict]) -> dict:
    """One config for all; repeats and replacements of wrappers are left out."""
    return datasets[0] if len(datasets) == 1 else dict(type="ConcatDataset", datasets=datasets)


def usable_ks(ks: list[int], references: int, temperature: float) -> list[int]:
    """Leave out numbers of neighbors that are too large, unless all are."""
    usable = [k for k in ks if k <= references]
    for k in sorted(set(ks) - set(usable)) if usable else ():
        print(f"k={k} is left out: there are only {references} reference images")
    check_neighbors(usable or ks, references, temperature)
    return usable


def features_of(
    backbone: torch.nn.Module,
    data_preprocessor: torch.nn.Module,
    loader: DataLoader,
    args: argparse.Namespace,
    title: str,
) -> LabeledFeatures:
    print(f"features of {len(loader.dataset)} {title}", file=sys.stderr)
    bar = ProgressBar(len(loader), file=sys.stderr)
    features = extract_features(
        backbone, data_preprocessor, loader, PRECISIONS[args.precision], lambda *_: bar.update()
    )
    print(file=sys.stderr)
    return features.to(args.device)


def evaluate(args: argparse.Namespace) -> None:
    cfg = read_config(args.config)
    options = dict(args.cfg_options)
    if args.data_root is None:
        args.data_root = options.pop("data_root", None)
    override_config(cfg, options)
    init_default_scope(cfg.get("default_scope") or "mmpretrain")
    loaders = build_loaders(cfg, args)
    check_same_classes(*loaders)
    ks = usable_ks(args.k, len(loaders[0].dataset), args.temperature)
    backbone = build_backbone(cfg, args)
    data_preprocessor = build_data_preprocessor(cfg, args.device)
    titled = {"references": loaders[0].dataset, "queries": loaders[1].dataset}
    consistency.check_features(backbone, data_preprocessor, titled)
    references, queries = (
        features_of(backbone, data_preprocessor, loader, args, title)
        for loader, title in zip(loaders, ("references", "queries"), strict=True)
    )
    ks = usable_ks(ks, len(references.labels), args.temperature)  # without corrupt images
    print(
        f"{len(references.labels)} references, {len(queries.labels)} queries,"
        f" {references.features.shape[1]} features, temperature {args.temperature}"
    )
    print(f"{'k':>5}{'top-1 %':>10}{'top-5 %':>10}")
    for k, accuracy in knn_accuracy(references, queries, ks, args.temperature).items():
        print(f"{k:5d}{accuracy.top1:10.2f}{accuracy.top5:10.2f}")


def main() -> None:
    args = parse_args()
    with user_errors(also=BUILD_ERRORS):
        evaluate(args)


if __name__ == "__main__":
    main()
