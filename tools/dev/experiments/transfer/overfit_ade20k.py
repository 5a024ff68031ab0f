"""Overfit a small version of a shipped ADE20K config to a few images, and print its mIoU on them.

Checks that segmentor, losses, data and evaluation work together: training must recover the training
images. The result is no measure of quality on other images.
"""

import argparse

from mmengine.config import Config

from mim_plugins import CONFIG_DIR
from mim_plugins.cli import ConsoleRunner, resolve_precision, run_config

CONFIG = CONFIG_DIR / "transfer/ade20k/upernet_mixmae_swin_b_160k.py"
SIZE = (192, 192)  # size of every image after resizing
DIM = 48  # channels of the encoder's first stage
CHANNELS = 64  # channels of the heads


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_root", help="ADE20K: images/ and annotations/, each with SPLIT")
    parser.add_argument("--work-dir", default="work_dirs/overfit_ade20k")
    parser.add_argument("--split", default="validation", help="folder of the training images")
    parser.add_argument("--iterations", type=int, default=400, help="iterations of 2 images")
    return parser.parse_args()


def small_config(data_root: str, split: str, work_dir: str, iterations: int) -> Config:
    """Return the shipped config with a small encoder and small images, without augmentation."""
    cfg = Config.fromfile(CONFIG)
    run_config.apply_data_root(cfg, data_root)
    cfg.work_dir = work_dir
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_prefix = dict(
            img_path=f"images/{split}", seg_map_path=f"annotations/{split}"
        )
    resize = dict(type="Resize", scale=SIZE, keep_ratio=False)
    load_image, load_labels, *_, pack = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader.dataset.pipeline = [load_image, load_labels, resize, pack]
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.pipeline[1] = resize
    warmup, decay = cfg.param_scheduler
    warmup.update(start_factor=0.01, end=min(20, iterations // 2))
    decay.update(begin=warmup.end)
    cfg.merge_from_dict(
        {
            "model.data_preprocessor.size": SIZE,
            "model.backbone.arch": dict(
                _delete_=True, embed_dims=DIM, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16)
            ),
            "model.backbone.drop_path_rate": 0.0,
            "model.backbone.init_cfg": None,
            "model.decode_head.in_channels": [DIM, 2 * DIM, 4 * DIM, 8 * DIM],
            "model.decode_head.channels": CHANNELS,
            "model.decode_head.dropout_ratio": 0.0,
            # weights all classes equally, because small classes would be learned last
            "model.decode_head.loss_decode": [
                cfg.model.decode_head.loss_decode,
                dict(type="LovaszLoss", reduction="none"),
            ],
            "model.auxiliary_head.in_channels": 4 * DIM,
            "model.auxiliary_head.channels": CHANNELS,
            "model.auxiliary_head.dropout_ratio": 0.0,
            "model.test_cfg.mode": "whole",
            "optim_wrapper.optimizer.lr": 2e-3,
            "optim_wrapper.paramwise_cfg.layer_decay_rate": 1.0,
            "train_cfg.max_iters": iterations,
            "train_cfg.val_interval": iterations,
            "default_hooks.checkpoint.interval": iterations,
        }
    )
    resolve_precision(cfg)
    return cfg


def main() -> None:
    args = parse_args()
    cfg = small_config(args.data_root, args.split, args.work_dir, args.iterations)
    runner = ConsoleRunner.from_cfg(cfg)
    runner.train()
    metrics = runner.test()
    images = len(runner.test_dataloader.dataset)
    print(
        f"{images} images after {args.iterations} iterations: mIoU {metrics['mIoU'] / 100:.3f},"
        f" pixel accuracy {metrics['aAcc'] / 100:.3f}"
    )


if __name__ == "__main__":
    main()
