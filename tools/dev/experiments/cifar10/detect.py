"""Train a detector with an encoder of the comparison on a few COCO images, and record its AP."""

import argparse
import json
import sys
from pathlib import Path

import cifar_vit  # noqa: F401  registers the teacher
from experiment import encoder_of, read_entries
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "transfer"))
from overfit_coco import small_config, write_subset

from mim_plugins.cli import ConsoleRunner

IMAGES = 12
STRIDES = (4, 8, 16, 32, 64)


def detector_config(
    pretraining: Config, checkpoint: Path | None, coco: Path, work: Path, iterations: int
) -> Config:
    """Return Mask R-CNN whose test images, evaluated ten times, are its training images."""
    encoder, prefix = encoder_of(pretraining)
    subset = work / "subset.json"
    write_subset(coco, IMAGES, subset)
    cfg = small_config(coco, work, subset, iterations)
    encoder = dict(encoder, out_indices=tuple(range(len(encoder.arch.embed_dims))))
    if checkpoint is not None:
        encoder["init_cfg"] = dict(type="Pretrained", checkpoint=str(checkpoint), prefix=prefix)
    cfg.val_dataloader, cfg.val_evaluator = cfg.test_dataloader, cfg.test_evaluator
    cfg.merge_from_dict(
        {
            "model.backbone": dict(_delete_=True, **encoder),
            "model.data_preprocessor.mean": pretraining.mean,
            "model.data_preprocessor.std": pretraining.std,
            "model.neck.in_channels": encoder["arch"]["embed_dims"],
            "model.rpn_head.anchor_generator.strides": STRIDES,
            "train_cfg.val_interval": max(iterations // 10, 1),
        }
    )
    return cfg


def read_ap(work: Path, interval: int, iterations: int) -> dict[str, list[float]]:
    """Return box and mask AP of all validations; mmdet logs none where nothing was detected."""
    entries = read_entries(work)[-1]
    by_step = {entry["step"]: entry for entry in entries if "coco/bbox_mAP" in entry}
    steps = range(interval, iterations + 1, interval)
    names = dict(box="coco/bbox_mAP", mask="coco/segm_mAP")
    ap = {
        kind: [by_step.get(step, {}).get(name, 0.0) for step in steps]
        for kind, name in names.items()
    }
    return dict(iterations=list(steps), **ap)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="JSON file to write")
    parser.add_argument("config", type=Path, help="config of the pre-training")
    parser.add_argument("--coco", type=Path, required=True, help="annotations/, train2017/")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, help="(default: random weights)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=800, help="iterations of 2 images")
    args = parser.parse_args()
    cfg = detector_config(
        Config.fromfile(args.config),
        args.checkpoint,
        args.coco.resolve(),
        args.work_dir.resolve(),
        args.iterations,
    )
    cfg.randomness = dict(seed=args.seed)
    ConsoleRunner.from_cfg(cfg).train()
    result = read_ap(args.work_dir, cfg.train_cfg.val_interval, args.iterations)
    args.result.write_text(json.dumps(result))
    print(result)


if __name__ == "__main__":
    main()
