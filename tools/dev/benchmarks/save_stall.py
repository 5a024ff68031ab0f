"""Measure how long training waits for a checkpoint, and how long the file takes.

A model with buffers of the given size trains on numbers and saves several times. The first save,
which includes checks and the first allocation of memory, is not counted. Memory for the copy and
room for three files are needed.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

import mim_plugins  # noqa: F401  registers everything

HOOKS: dict[str, dict[str, Any]] = dict(
    background=dict(type="mim_plugins.AtomicCheckpointHook"),
    foreground=dict(type="mim_plugins.AtomicCheckpointHook", background=False),
    mmengine=dict(type="CheckpointHook"),
)
PARTS = 50
BEFORE, AFTER = 89, 91  # priorities around that of the checkpoint hook


class Model(BaseModel):
    """Model of one weight, with buffers that make the checkpoint large."""

    def __init__(self, megabytes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        for index in range(PARTS):
            self.register_buffer(f"part_{index}", torch.rand(megabytes * 10**6 // 4 // PARTS))

    def forward(self, inputs: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        """Return the loss after some work."""
        work = torch.ones(256, 256)
        for _ in range(8):
            work = work @ work / 256
        return dict(loss=(self.weight - work.mean()).square().sum())


class Numbers:
    """Numbers that replace images."""

    metainfo: dict = {}

    def __len__(self) -> int:
        """Return the numbers of an epoch."""
        return 8

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return a number."""
        return dict(inputs=torch.tensor([index]))


class Stopwatch(Hook):
    """Record the times of all iterations in a list."""

    def __init__(self, times: list[float], priority: int) -> None:
        self.times = times
        self.priority = priority

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Record the time."""
        self.times.append(time.monotonic())


def measure(kind: str, megabytes: int, saves: int, interval: int, folder: Path) -> list[str]:
    """Train and return the cells of a row: stall and duration per save, time per iteration."""
    before: list[float] = []
    after: list[float] = []
    runner = Runner(
        model=Model(megabytes),
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=1,
            dataset=Numbers(),
            sampler=dict(type="InfiniteSampler"),
            collate_fn=dict(type="default_collate"),
        ),
        train_cfg=dict(type="mim_plugins.ResumableIterLoop", max_iters=interval * (saves + 1) + 1),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        default_hooks=dict(
            logger=None,
            checkpoint=dict(
                **HOOKS[kind], interval=interval, by_epoch=False, save_last=False, max_keep_ckpts=1
            ),
        ),
        log_level="ERROR",
        experiment_name=kind,
    )
    runner.register_hook(Stopwatch(before, BEFORE))
    runner.register_hook(Stopwatch(after, AFTER))
    runner.train()
    at_save = range(2 * interval - 1, len(before), interval)
    stalls = [after[index] - before[index] for index in at_save]
    steps = [before[i + 1] - after[i] for i in range(interval, len(after) - 1)]
    return [
        f"{statistics.median(stalls):.2f}",
        f"{max(stalls):.2f}",
        f"{1e3 * statistics.mean(steps):.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=sorted(HOOKS), default=list(HOOKS))
    parser.add_argument("--megabytes", type=int, default=2000, help="size of a checkpoint")
    parser.add_argument("--saves", type=int, default=3, help="number of counted saves")
    parser.add_argument("--interval", type=int, default=1000, help="iterations between two saves")
    parser.add_argument("--folder", type=Path, help="folder on the disk to measure")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| hook | stall, median (s) | stall, longest (s) | iteration, mean (ms) |")
    print("| --- | --- | --- | --- |")
    for kind in args.kinds:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            cells = measure(kind, args.megabytes, args.saves, args.interval, Path(folder))
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
