"""Predict the classes of images with a fine-tuned classifier."""

import argparse
import os
import sys

import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

import mim_plugins  # noqa: F401  registers everything


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="classification config file")
    parser.add_argument("checkpoint", help="checkpoint file of a run with this config")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--topk", type=int, default=5, help="classes to print")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        help="override entries of the config, as key=value; lists as key='[a,b]'",
    )
    args = parser.parse_args()
    if args.topk < 1:
        parser.error(f"--topk {args.topk} must be at least 1")
    return args


def check(cfg: Config, args: argparse.Namespace) -> None:
    """End with one clear line if something cannot work."""
    if cfg.get("test_dataloader") is None or "head" not in cfg.model:
        sys.exit(f"error: {args.config} is no classification config; predict with one of those")
    for file in (args.checkpoint, *args.images):
        if not os.path.isfile(file):
            sys.exit(f"error: there is no file '{file}'")


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    check(cfg, args)
    from mmpretrain import ImageClassificationInferencer
    from mmpretrain.utils import progress

    # a bar would end in the line of the first result
    progress.disable_progress_bar = True
    init_default_scope(cfg.get("default_scope") or "mmpretrain")
    # the checkpoint holds every weight; a pre-training checkpoint need not be at hand
    cfg.model.backbone.init_cfg = None
    inferencer = ImageClassificationInferencer(cfg, args.checkpoint, device=args.device)
    try:
        results = inferencer(args.images, batch_size=args.batch_size)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    for image, result in zip(args.images, results, strict=True):
        print(image)
        scores = torch.from_numpy(result["pred_scores"])
        for score, label in zip(*scores.topk(min(args.topk, len(scores))), strict=True):
            name = inferencer.classes[label] if inferencer.classes else ""
            print(f"  {100 * score:6.2f} %  {int(label):5d}  {name}".rstrip())


if __name__ == "__main__":
    main()
