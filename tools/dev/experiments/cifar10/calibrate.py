"""Measure the seconds per epoch of several pre-trainings.

Steps of all runs alternate, so a disturbance of the machine affects all of them. Seconds are CPU
time of one thread on a CPU, and wall time on a GPU.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mim_plugins.cli import enable_exact_resume
from mim_plugins.registry import MODELS


class Training:
    """A pre-training that runs step by step, with the data loading of a real run."""

    def __init__(self, config: Path, device: torch.device) -> None:
        cfg = Config.fromfile(config)
        enable_exact_resume(cfg)
        settings = cfg.model
        if "data_preprocessor" not in settings:
            settings["data_preprocessor"] = cfg.data_preprocessor
        self.model = MODELS.build(settings).to(device).train()
        self.loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
        self.optimizer = build_optim_wrapper(self.model, cfg.optim_wrapper)
        self.batches: Any = iter(self.loader)

    def step(self, clock: Any) -> float:
        """Run one step, and return its seconds, loading included."""
        start = clock()
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        self.model.train_step(batch, self.optimizer)
        return clock() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path, help="JSON file to write: seconds by config name")
    parser.add_argument("configs", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=25)
    args = parser.parse_args()
    init_default_scope("mim_plugins")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def clock() -> float:
        if device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    trainings = {config.stem: Training(config, device) for config in args.configs}
    steps: dict[str, list[float]] = {name: [] for name in trainings}
    for number in range(args.steps + 3):
        for name, training in trainings.items():
            seconds = training.step(clock)
            if number >= 3:
                steps[name].append(seconds)
    per_epoch = {name: median(steps[name]) * len(trainings[name].loader) for name in trainings}
    args.result.write_text(json.dumps(per_epoch))
    print(per_epoch)


if __name__ == "__main__":
    main()
