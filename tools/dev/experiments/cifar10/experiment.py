"""Jobs of a work folder, each of which runs once, in a separate process."""

import json
import multiprocessing
import os
import resource
import runpy
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from mmengine.config import Config
from sizes import Size

from mim_plugins.checkpoints import write_atomically

HERE = Path(__file__).resolve().parent
TRAIN = HERE.parents[2] / "train.py"
CHECKPOINTS = 3  # per pre-training, evenly spaced, the last at the end
# inherited by the jobs: one thread each; freed memory is kept for the next step
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MALLOC_MMAP_THRESHOLD_"] = os.environ["MALLOC_TRIM_THRESHOLD_"] = str(2**32)
# a forked process cannot use CUDA if importing MMEngine has counted the GPUs before
if torch.cuda.is_available():
    JOBS: Any = multiprocessing.get_context("spawn")
else:
    # imports take longer than many jobs, so jobs fork from a process that has imported everything
    JOBS = multiprocessing.get_context("forkserver")
    JOBS.set_forkserver_preload(
        ["mim_plugins", "mmpretrain.models", "mmpretrain.evaluation", "evaluate", "teacher"]
    )


class Experiment:
    """Jobs of a work folder; a job with a file ``<name>.done`` is not repeated.

    Args:
        work: work folder, with ``arrays`` in it.
        size: size of the jobs.
    """

    def __init__(self, work: Path, size: Size) -> None:
        self.work = work
        self.size = size
        self.arrays = work / "arrays"
        self.weights = work / "teacher.pth"

    def run(self, name: str, script: Path, *arguments: Any) -> dict[str, float]:
        """Run a script with its output in ``<name>.log``, unless it is done.

        Returns:
            ``wall`` and ``cpu`` seconds of the script.

        Raises:
            SystemExit: the script failed.
        """
        log, done = self.work / f"{name}.log", self.work / f"{name}.done"
        if not done.is_file():
            job = JOBS.Process(target=_run, args=(script, [*map(str, arguments)], log, done))
            job.start()
            job.join()
            if not done.is_file():
                raise SystemExit(f"error: {name} failed; its log is '{log}'")
            print(f"{name}: {json.loads(done.read_text())['wall']:.0f} s", flush=True)
        return json.loads(done.read_text())

    def teacher_features(self) -> dict[str, float]:
        """Train the teacher, and return the accuracies of its classifier and of its features."""
        options = [f"--{key}={value}" for key, value in self.size.teacher.items()]
        self.run("teacher", HERE / "teacher.py", self.arrays, self.weights, *options)
        own = json.loads(self.weights.with_suffix(".json").read_text())
        return own | self.probe("teacher", "--teacher", self.weights)["0"]

    def config(
        self, name: str, method: str, epochs: int, seed: int, changes: Mapping[str, Any]
    ) -> Path:
        """Write the config of a pre-training as ``<name>.py``."""
        cfg = self.read(method)
        cfg.merge_from_dict(self.size.options.get(method, {}))
        if "mimics" in cfg.model:
            cfg.model.mimics.teacher.target_generator.pretrained = str(self.weights)
        cfg.train_dataloader.dataset.images = self.size.images
        cfg.default_hooks.checkpoint.interval = -(-epochs // CHECKPOINTS)
        self.set_length(cfg, epochs, seed)
        cfg.merge_from_dict(dict(changes))
        return self.write(cfg, name)

    def calibrate(self, configs: Mapping[str, Path]) -> dict[str, float]:
        """Measure the seconds per epoch of each pre-training."""
        result = self.work / "calibration.json"
        self.run("calibration", HERE / "calibrate.py", result, *configs.values())
        return json.loads(result.read_text())

    def pretrain(
        self,
        method: str,
        epochs: int,
        seed: int,
        variant: str = "",
        changes: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Pre-train an encoder, and return its accuracies, losses and times.

        Args:
            method: name of the config.
            epochs: length of the training.
            seed: seed of weights, order and masks.
            variant: name of the changes.
            changes: changes of the config.
        """
        name = "_".join(filter(None, [method, variant, f"{epochs}e", f"seed{seed}"]))
        folder = self.work / name
        config = self.config(name, method, epochs, seed, changes or {})
        taken = self.run(name, TRAIN, config, "--work-dir", folder, "--overwrite")
        files = sorted(folder.glob("epoch_*.pth"), key=_epoch)
        curve = self.probe(name, "--config", config, "--checkpoints", *files, "--seed", seed)
        last = {f"finetune_{k}": v for k, v in self.finetune(name, config, files[-1], seed).items()}
        result = dict(taken=taken, curve=curve, losses=read_logs(folder))
        return result | dict(final=curve[str(_epoch(files[-1]))] | last)

    def probe(self, name: str, *options: Any) -> dict[str, dict[str, float]]:
        """Evaluate frozen encoders by k-NN and a linear probe, and return accuracies by epoch."""
        result = self.work / f"{name}_probe.json"
        counts = ("--labeled", self.size.labeled, "--test-images", self.size.test_images)
        script = HERE / "evaluate.py"
        self.run(f"{name}_probe", script, self.arrays, result, *options, *counts)
        return json.loads(result.read_text())

    def random(self, method: str, seed: int) -> dict[str, Any]:
        """Return the same accuracies for an encoder with random weights."""
        name = f"random_{method}_seed{seed}"
        config = self.config(name, method, 1, seed, {})
        curve = self.probe(name, "--config", config, "--seed", seed)
        tuned = {f"finetune_{k}": v for k, v in self.finetune(name, config, None, seed).items()}
        return dict(curve=curve, final=curve["0"] | tuned)

    def finetune(
        self, name: str, config: Path, checkpoint: Path | None, seed: int
    ) -> dict[int, float]:
        """Fine-tune the encoder, and return test accuracies by share of the labels in percent."""
        accuracies = {}
        backbone, prefix = encoder_of(Config.fromfile(config))
        if checkpoint:
            backbone.init_cfg = dict(type="Pretrained", checkpoint=str(checkpoint), prefix=prefix)
        dims = backbone.arch.embed_dims
        for share, epochs in self.size.finetune.items():
            cfg = self.read("finetune")
            cfg.merge_from_dict(
                {
                    "model.backbone": dict(_delete_=True, **backbone, out_type="avg_featmap"),
                    "model.head.in_channels": dims[-1] if isinstance(dims, list) else dims,
                    "train_dataloader.dataset.images": self.size.labeled,
                    "train_dataloader.dataset.per_class": self.size.labeled * share // 1000,
                    "train_dataloader.dataset.seed": seed,
                    "val_dataloader.dataset.images": self.size.test_images,
                    "val_dataloader.dataset.data_root": str(self.arrays),
                    "train_cfg.val_interval": epochs,
                    "default_hooks.checkpoint.interval": -1,
                }
            )
            self.set_length(cfg, epochs, seed)
            job = f"{name}_finetune{share}"
            folder = self.work / job
            self.run(job, TRAIN, self.write(cfg, job), "--work-dir", folder, "--overwrite")
            accuracies[share] = read_logs(self.work / job)["accuracy/top1"][-1]
        return accuracies

    def read(self, name: str) -> Config:
        """Read a config of the experiment."""
        return Config.fromfile(HERE / "configs" / f"{name}.py")

    def set_length(self, cfg: Config, epochs: int, seed: int) -> None:
        """Set data folder, epochs, warm-up and seed of a config."""
        cfg.train_dataloader.dataset.data_root = str(self.arrays)
        cfg.train_cfg.max_epochs = epochs
        cfg.param_scheduler[0].end = cfg.param_scheduler[1].begin = max(1, epochs // 10)
        cfg.randomness.seed = seed

    def write(self, cfg: Config, name: str) -> Path:
        """Write a config as ``<name>.py``."""
        file = self.work / f"{name}.py"
        # another job may read it
        write_atomically(file, lambda partial: partial.write_text(cfg.pretty_text))
        return file


def _run(script: Path, arguments: list[str], log: Path, done: Path) -> None:
    """Run ``script`` as from the command line, in the process of a job."""
    start = time.monotonic()
    Thread(target=_end_with_parent, daemon=True).start()
    with log.open("w", buffering=1) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.argv = [str(script), *arguments]
        try:
            runpy.run_path(str(script), run_name="__main__")
        finally:
            sys.stdout.flush()
    used = resource.getrusage(resource.RUSAGE_SELF)
    taken = dict(wall=time.monotonic() - start, cpu=used.ru_utime + used.ru_stime)
    write_atomically(done, lambda partial: partial.write_text(json.dumps(taken)))


def _end_with_parent() -> None:
    """End this process when its parent ends, because the job would run twice at once otherwise."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def encoder_of(cfg: Config) -> tuple[Any, str]:
    """Return the config of the encoder of a pre-training, and its prefix in checkpoints."""
    backbone = cfg.model.backbone
    if "encoder" in backbone:
        return backbone.encoder, "backbone.encoder."
    return backbone, "backbone."


def read_entries(folder: Path) -> list[list[dict[str, Any]]]:
    """Return the complete lines that each attempt of a run logged, in the order of attempts."""
    files = sorted(folder.glob("*/vis_data/scalars.json"))
    texts = (file.read_text().rpartition("\n")[0] for file in files)
    return [[json.loads(line) for line in text.splitlines()] for text in texts]


def read_validations(folder: Path) -> dict[int, float]:
    """Return the validation accuracy of a run by epoch."""
    name = "accuracy/top1"
    attempts = read_entries(folder)
    return {each["step"]: each[name] for entries in attempts for each in entries if name in each}


def read_logs(folder: Path) -> dict[str, list[float]]:
    """Return all numbers that the last attempt of a run logged, by name."""
    values: dict[str, list[float]] = {}
    for entry in read_entries(folder)[-1]:
        for key, value in entry.items():
            values.setdefault(key, []).append(value)
    return values


def _epoch(file: Path) -> int:
    return int(file.stem.removeprefix("epoch_"))
