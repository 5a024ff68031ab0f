"""Overfit a small version of a shipped COCO config to a few training images, and print its AP.

Checks that detector, losses, data and evaluation work together: training must recover the training
images. The result is no measure of quality on other images.
"""

import argparse
import json
from pathlib import Path

from mmengine.config import Config

from mim_plugins import CONFIG_DIR
from mim_plugins.cli import ConsoleRunner, resolve_precision, run_config

CONFIG = CONFIG_DIR / "transfer/coco/mask_rcnn_mixmae_swin_b_36e.py"
SIDE = 256  # pixels of the images' longer side
CHANNELS = 64  # channels of the neck and the heads
# settings with which a small model overfits a few images in minutes
SMALL = {
    "model.data_preprocessor.pad_size_divisor": SIDE,
    "model.backbone.arch": dict(
        _delete_=True, embed_dims=32, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16)
    ),
    "model.backbone.window_size": 7,
    "model.backbone.drop_path_rate": 0.0,
    "model.backbone.init_cfg": None,
    "model.neck.in_channels": [32, 64, 128, 256],
    "model.neck.out_channels": CHANNELS,
    "model.rpn_head.in_channels": CHANNELS,
    "model.rpn_head.feat_channels": CHANNELS,
    "model.rpn_head.anchor_generator.scales": [4],
    "model.roi_head.bbox_roi_extractor.out_channels": CHANNELS,
    "model.roi_head.mask_roi_extractor.out_channels": CHANNELS,
    "model.roi_head.bbox_head.in_channels": CHANNELS,
    "model.roi_head.bbox_head.fc_out_channels": 256,
    "model.roi_head.mask_head.in_channels": CHANNELS,
    "model.roi_head.mask_head.conv_out_channels": CHANNELS,
    "model.train_cfg.rpn_proposal": dict(nms_pre=500, max_per_img=200),
    "model.train_cfg.rcnn.sampler.num": 64,
    "model.test_cfg.rpn": dict(nms_pre=500, max_per_img=300),
    "optim_wrapper.optimizer.lr": 1e-3,
    "optim_wrapper.optimizer.weight_decay": 0.01,
    "optim_wrapper.paramwise_cfg.layer_decay_rate": 1.0,
    "optim_wrapper.clip_grad": dict(max_norm=5.0),
    "default_hooks.logger.log_metric_by_epoch": False,
    "log_processor.by_epoch": False,
    "log_processor.window_size": 50,
    "auto_scale_lr.base_batch_size": 2,
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_root", type=Path, help="COCO: annotations/, train2017/, val2017/")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/overfit_coco"))
    parser.add_argument("--images", type=int, default=12, help="number of training images")
    parser.add_argument("--iterations", type=int, default=1200, help="iterations of 2 images")
    parser.add_argument("--val", action="store_true", help="also evaluate val2017")
    return parser.parse_args()


def write_subset(data_root: Path, count: int, target: Path) -> None:
    """Write the annotations of the ``count`` annotated images with the fewest objects."""
    coco = json.loads((data_root / "annotations/instances_train2017.json").read_text())
    objects: dict[int, int] = {}
    for annotation in coco["annotations"]:
        objects[annotation["image_id"]] = objects.get(annotation["image_id"], 0) + 1
    chosen = set(sorted(objects, key=lambda image: (objects[image], image))[:count])
    coco["images"] = [image for image in coco["images"] if image["id"] in chosen]
    coco["annotations"] = [a for a in coco["annotations"] if a["image_id"] in chosen]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(coco))


def small_config(data_root: Path, work_dir: Path, subset: Path, iterations: int) -> Config:
    """Return the shipped config with a small model and small images, without crops and flips."""
    cfg = Config.fromfile(CONFIG)
    run_config.apply_data_root(cfg, str(data_root))
    cfg.work_dir = str(work_dir)
    scale = (SIDE, SIDE)
    train = cfg.train_dataloader.dataset
    train.ann_file = str(subset)
    train.pipeline = [t for t in train.pipeline if t.type not in ("RandomCrop", "RandomFlip")]
    train.pipeline[2] = dict(type="Resize", scale=scale, keep_ratio=True)
    cfg.train_dataloader.dataset = dict(type="RepeatDataset", times=iterations, dataset=train)
    cfg.train_dataloader.sampler.shuffle = True
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pipeline[1].scale = scale
    cfg.train_dataloader.batch_size = 2
    # the test set is the training images; validation runs only once, after training
    cfg.test_dataloader.dataset.update(ann_file=str(subset), data_prefix=dict(img="train2017/"))
    cfg.test_evaluator.ann_file = str(subset)
    cfg.merge_from_dict(SMALL)
    cfg.merge_from_dict(
        {
            "train_cfg": dict(
                _delete_=True,
                type="IterBasedTrainLoop",
                max_iters=iterations,
                val_interval=iterations + 1,
            ),
            "param_scheduler": [
                dict(type="LinearLR", start_factor=0.01, by_epoch=False, end=50),
                dict(type="CosineAnnealingLR", by_epoch=False, T_max=iterations),
            ],
            "default_hooks.checkpoint": dict(by_epoch=False, interval=iterations),
        }
    )
    resolve_precision(cfg)
    return cfg


def report(title: str, metrics: dict[str, float]) -> None:
    """Print box and mask AP."""
    # mmdet omits the metrics if nothing was detected
    box, mask = (metrics.get(f"coco/{kind}_mAP", 0.0) for kind in ("bbox", "segm"))
    print(f"{title}: box AP {box:.3f}, mask AP {mask:.3f}")


def main() -> None:
    args = parse_args()
    data_root, work_dir = args.data_root.resolve(), args.work_dir.resolve()
    subset = work_dir / "subset.json"
    write_subset(data_root, args.images, subset)
    runner = ConsoleRunner.from_cfg(small_config(data_root, work_dir, subset, args.iterations))
    runner.train()
    report(f"{args.images} training images after {args.iterations} iterations", runner.test())
    if args.val:
        report(f"val2017 of {data_root}, not trained on", runner.val())


if __name__ == "__main__":
    main()
