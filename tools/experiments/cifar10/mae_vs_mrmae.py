"""Does mimicking help? A teacher, MAE and MR-MAE students on CIFAR-10, on a CPU."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cifar_arrays import decode_once
from report import draw_curves, result_table

HERE = Path(__file__).resolve().parent
TRAIN = HERE.parents[1] / "train.py"
METHODS = dict(mae=HERE / "config_mae.py", mrmae=HERE / "config_mrmae.py")
# everything in seconds, to see whether it runs; the figures say nothing
SMOKE_TEACHER = ("--images", "512", "--epochs", "1")
SMOKE_STUDENT = ("train_dataloader.dataset.images=1024", "train_cfg.max_epochs=4")
SMOKE_EVALUATION = ("--probe-images", "500", "--finetune-epochs", "1")


class Experiment:
    """The jobs of one work folder; those that have a ``<name>.done`` are not done again.

    Args:
        work: the work folder.
        smoke: make every job as small as can be.
    """

    def __init__(self, work: Path, smoke: bool) -> None:
        self.work = work
        self.arrays = work / "arrays"
        self.weights = work / "teacher.pth"
        self.smoke = smoke

    def run(self, name: str, *command: str | Path) -> None:
        """Run a job in a process of its own, with its output in ``<name>.log``, unless it is done.

        Raises:
            SystemExit: it failed.
        """
        start, log, done = time.monotonic(), self.work / f"{name}.log", self.work / f"{name}.done"
        if done.is_file():
            return
        known = os.environ.get("PYTHONPATH")
        path = os.pathsep.join([str(HERE), *([known] if known else [])])
        env = os.environ | dict(PYTHONPATH=path, OMP_NUM_THREADS="1")
        with log.open("w") as file:
            code = subprocess.run(
                [sys.executable, *map(str, command)], stdout=file, stderr=subprocess.STDOUT, env=env
            ).returncode
        if code:
            raise SystemExit(f"error: {name} failed; its log is '{log}'")
        done.touch()
        print(f"{name}: done in {time.monotonic() - start:.0f} s", flush=True)

    def teach(self) -> dict[str, float]:
        """Train the teacher, and probe it."""
        small = SMOKE_TEACHER if self.smoke else ()
        self.run("teacher", HERE / "teacher.py", self.arrays, self.weights, *small)
        return self.evaluate("teacher_probe", METHODS["mrmae"], "--teacher", self.weights)

    def baseline(self, seed: int) -> dict[str, Any]:
        """Evaluate a student with random weights."""
        return self.evaluate(f"random_seed{seed}", METHODS["mae"], "--seed", seed)

    def learn(self, method: str, seed: int, teacher: Future | None) -> dict[str, Any]:
        """Pre-train a student with the project's tool, once the teacher is there; evaluate it."""
        if teacher is not None:
            teacher.result()
        name, config = f"{method}_seed{seed}", METHODS[method]
        folder = self.work / name
        options = [f"randomness.seed={seed}", f"train_dataloader.dataset.data_root={self.arrays}"]
        if teacher is not None:
            options.append(f"model.mimics.teacher.target.pretrained={self.weights}")
        options += SMOKE_STUDENT if self.smoke else ()
        self.run(name, TRAIN, config, "--work-dir", folder, "--cfg-options", *options)
        found = sorted(
            folder.glob("epoch_*.pth"), key=lambda file: int(re.sub(r"\D", "", file.stem))
        )
        result = self.evaluate(
            f"{name}_evaluation", config, "--seed", seed, "--checkpoints", *found
        )
        return result | dict(losses=read_losses(folder))

    def evaluate(self, name: str, config: Path, *options: Any) -> dict[str, Any]:
        """The result of ``evaluate.py``."""
        result = self.work / f"{name}.json"
        small = SMOKE_EVALUATION if self.smoke else ()
        script = HERE / "evaluate.py"
        self.run(name, script, self.arrays, result, "--config", config, *options, *small)
        return json.loads(result.read_text())


def read_losses(folder: Path) -> dict[str, list[float]]:
    """Every logged loss of a student by its name, and the epochs and steps of the logs."""
    losses: dict[str, list[float]] = {}
    for file in sorted(folder.glob("*/vis_data/scalars.json"))[-1:]:  # of the last attempt
        for entry in map(json.loads, file.read_text().splitlines()):
            for key in ("epoch", "step", "loss_rec", "loss_mimic"):
                if key in entry:
                    losses.setdefault(key, []).append(entry[key])
    return losses


def run_all(experiment: Experiment, seeds: list[int], processes: int) -> dict[str, Any]:
    """All jobs, ``processes`` at a time, seed by seed; MR-MAE waits for the teacher."""
    with ThreadPoolExecutor(processes) as pool:
        teacher = pool.submit(experiment.teach)
        jobs = {}
        for seed in seeds:
            jobs[f"mae {seed}"] = pool.submit(experiment.learn, "mae", seed, None)
            jobs[f"random {seed}"] = pool.submit(experiment.baseline, seed)
            jobs[f"mrmae {seed}"] = pool.submit(experiment.learn, "mrmae", seed, teacher)
        return {"teacher": teacher.result()} | {name: job.result() for name, job in jobs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="cifar10.tar.xz, or its folder")
    parser.add_argument(
        "--work-dir", type=Path, required=True, help="for all outputs; a run goes on where it ended"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--processes", type=int, default=2, help="single-threaded jobs at a time")
    parser.add_argument("--smoke", action="store_true", help="all in a minute, to try the script")
    args = parser.parse_args()
    work, start = args.work_dir.resolve(), time.monotonic()
    work.mkdir(parents=True, exist_ok=True)
    decode_once(args.data, work / "arrays")
    results = run_all(Experiment(work, args.smoke), args.seeds, args.processes)
    (work / "results.json").write_text(json.dumps(results, indent=1))
    table = result_table(results, args.seeds)
    (work / "table.md").write_text(table)
    draw_curves(results, args.seeds, work / "mrmae_cifar10.png")
    minutes = (time.monotonic() - start) / 60
    print(f"\n{table}\nin {minutes:.0f} minutes; picture: {work / 'mrmae_cifar10.png'}")


if __name__ == "__main__":
    main()
