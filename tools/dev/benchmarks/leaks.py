"""Count tensors, objects and memory during a long run, to find leaks.

A tiny MixMAE or MR-MAE (with a tiny teacher) trains on images of noise with the shipped recipe,
including hooks, checkpoints and data loading. Each step samples new masks. Every 100 steps, the
tool counts the tensors and all objects tracked by Python's garbage collector, and reads the
resident memory.
"""

import argparse
import gc
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

import mim_plugins
from mim_plugins.cli import enable_exact_resume, resolve_precision, run_config

INTERVAL = 100
SIDE, IMAGES, BATCH = 32, 20, 2
RECIPES = dict(mixmae="mixmae/swin_b_600e.py", mrmae="mrmae/vit_b_400e.py")
ARCHS: dict[str, dict[str, Any]] = dict(
    mixmae=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
    mrmae=dict(embed_dims=16, depth=1, num_heads=2),
)
TEACHER = dict(
    _delete_=True,
    type="mim_plugins.TimmTarget",
    model_name="vit_tiny_patch16_224",
    pretrained=None,
    normalize=True,
)
MIB = 2**20


class CensusHook(Hook):
    """Count live objects every ``INTERVAL`` steps."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.counts: list[dict[str, float]] = []

    def after_train_iter(self, runner: Runner, *_: object, **__: object) -> None:
        """Count after all other hooks of the step."""
        if (runner.iter + 1) % INTERVAL:
            return
        gc.collect()
        objects = gc.get_objects()
        tensors = [thing for thing in objects if issubclass(type(thing), torch.Tensor)]
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
        self.counts.append(
            dict(
                step=runner.iter + 1,
                tensors=len(tensors),
                tensor_mib=sum(storages.values()) / MIB,
                objects=len(objects),
                resident_mib=resident_bytes() / MIB,
            )
        )


def resident_bytes() -> int:
    """Return the resident memory of this process, on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", choices=sorted(RECIPES), default="mixmae")
    steps_help = f"a multiple of {INTERVAL}, at least {2 * INTERVAL}"
    parser.add_argument("--steps", type=int, default=500, help=steps_help)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there")
    args = parser.parse_args()
    if args.steps < 2 * INTERVAL or args.steps % INTERVAL:
        parser.error(f"--steps must be a multiple of {INTERVAL}, and at least {2 * INTERVAL}")
    return args


def write_images(folder: Path) -> None:
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(IMAGES):
        pixels = generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.jpg")


def tiny_recipe(method: str, folder: Path, steps: int) -> Config:
    """Return the shipped recipe with a tiny model, on the images in ``folder``."""
    cfg = Config.fromfile(Path(mim_plugins.CONFIG_DIR) / RECIPES[method])
    model: dict[str, Any] = dict(
        backbone=dict(arch=dict(_delete_=True, **ARCHS[method]), img_size=SIDE),
        decoder=dict(embed_dims=16, depth=1, num_heads=2),
    )
    if method == "mixmae":
        model["backbone"]["window_size"] = 4
    else:
        model["mimics"] = dict(clip=dict(target_generator=TEACHER))
    loader = dict(batch_size=BATCH, num_workers=0, persistent_workers=False, pin_memory=False)
    cfg.merge_from_dict(
        dict(
            model=model,
            train_dataloader=loader,
            train_cfg=dict(max_epochs=steps * BATCH // IMAGES),
            work_dir=str(folder / "run"),
            log_level="ERROR",
        )
    )
    cfg.train_dataloader.dataset.pipeline[0].scale = SIDE
    run_config.apply_data_root(cfg, str(folder / "images"))
    resolve_precision(cfg)
    run_config.trim_schedule(cfg)
    enable_exact_resume(cfg)
    return cfg


def train(method: str, steps: int) -> list[dict[str, float]]:
    """Train, and return the counts of the run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images")
        runner = Runner.from_cfg(tiny_recipe(method, folder, steps))
        census = CensusHook()
        runner.register_hook(census)
        runner.train()
    return census.counts


def main() -> None:
    args = parse_args()
    counts = train(args.method, args.steps)
    print(f"{'step':>6} {'tensors':>8} {'their MiB':>10} {'objects':>8} {'resident MiB':>13}")
    for count in counts:
        print(
            "{step:>6} {tensors:>8} {tensor_mib:>10.2f} {objects:>8} {resident_mib:>13.1f}".format(
                **count
            )
        )
    if args.json:
        args.json.write_text(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
