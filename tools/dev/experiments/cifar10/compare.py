"""Compare MixMAE, SimMIM, MAE and MR-MAE on CIFAR-10, at equal epochs and in equal time."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch
from cifar_arrays import decode_once
from experiment import Experiment
from report import draw, report
from sizes import SIZES

RIVALS = (("mixmae", "simmim"), ("mae", "mrmae"))  # each pair shares an encoder
METHODS = tuple(method for rivals in RIVALS for method in rivals)
RANDOM = dict(random_swin="mixmae", random_vit="mae")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this script and ablate.py."""
    parser.add_argument("--data", type=Path, required=True, help="cifar10.tar.xz, or its folder")
    parser.add_argument(
        "--work-dir",
        type=Path,
        required=True,
        help="folder of all outputs; an interrupted run continues",
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="see sizes.py")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument(
        "--processes",
        type=int,
        default=1 if torch.cuda.is_available() else 2,
        help="number of concurrent single-threaded jobs",
    )


def prepare(args: argparse.Namespace) -> Experiment:
    """Create the experiment in its work folder, and decode the data."""
    work = args.work_dir.resolve()
    work.mkdir(parents=True, exist_ok=True)
    mark = work / "size"
    if mark.exists() and (size := mark.read_text()) != args.size:
        sys.exit(
            f"error: '{args.work_dir}' contains results of --size {size}: give another --work-dir"
        )
    mark.write_text(args.size)
    decode_once(args.data, work / "arrays")
    return Experiment(work, SIZES[args.size])


def equal_times(experiment: Experiment) -> tuple[dict[str, float], dict[str, int]]:
    """Measure seconds per epoch, and return them with the epochs at equal time.

    Both methods of a pair get the time budget of the slower one.
    """
    epochs = experiment.size.epochs
    configs = {
        method: experiment.config(f"calibrate_{method}", method, epochs, 0, {})
        for method in METHODS
    }
    measured = experiment.calibrate(configs)
    seconds = {method: measured[f"calibrate_{method}"] for method in METHODS}
    slower = {
        method: max(seconds[each] for each in rivals) for rivals in RIVALS for method in rivals
    }
    return seconds, {method: round(epochs * slower[method] / seconds[method]) for method in METHODS}


def run_all(experiment: Experiment, seeds: list[int], processes: int) -> dict[str, Any]:
    """Run all jobs, ``processes`` at a time, with the trainings ordered by seed."""
    jobs: dict[tuple[str, int, int], Future] = {}
    with ThreadPoolExecutor(processes) as pool:

        def start(key: tuple[str, int, int], job: Callable[..., Any], *args: Any) -> None:
            if key not in jobs:
                jobs[key] = pool.submit(job, *args)

        teaching = pool.submit(experiment.teacher_features)
        for seed in seeds:
            for name, method in RANDOM.items():
                start((name, 0, seed), experiment.random, method, seed)
        wait([teaching, *jobs.values()])  # no other job may run during the calibration
        teacher = teaching.result()
        seconds, long = equal_times(experiment)
        epochs = experiment.size.epochs
        for seed in seeds:
            for method in METHODS:
                for length in (epochs, long[method]):
                    start((method, length, seed), experiment.pretrain, method, length, seed)
        runs = [
            dict(name=name, epochs=length, seed=seed, **job.result())
            for (name, length, seed), job in jobs.items()
        ]
    return dict(
        teacher=teacher,
        seconds_per_epoch=seconds,
        equal_epochs=epochs,
        equal_time=long,
        seeds=seeds,
        runs=runs,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    args = parser.parse_args()
    start = time.monotonic()
    experiment = prepare(args)
    results = run_all(experiment, args.seeds, args.processes)
    (experiment.work / "results.json").write_text(json.dumps(results))
    text = report(results)
    (experiment.work / "report.md").write_text(text)
    picture = experiment.work / "cifar10.png"
    draw(results, picture)
    minutes = (time.monotonic() - start) / 60
    print(f"\n{text}\nin {minutes:.0f} minutes; picture: {picture}")


if __name__ == "__main__":
    main()
