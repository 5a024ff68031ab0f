"""Comparison of the methods on CIFAR-10, for as long as time is left."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpu.deadline import Deadline
from gpu.job import Job, JobError
from gpu.machine import ROOT

COMPARE = ROOT / "tools/dev/experiments/cifar10/compare.py"


def run_cifar10(
    archive: Path | None, out: Path, deadline: Deadline, size: str, processes: int
) -> dict[str, Any]:
    """Run compare.py until it ends or no time is left, and return its finished jobs.

    Raises:
        JobError: no archive is given, or no job has finished.
    """
    if archive is None:
        raise JobError("not run: --cifar10 is not given")
    work = out / "cifar10"
    job = Job(compare, archive, work, size, processes, log=out / "cifar10.log")
    job.start()
    stopped = ""
    try:
        job.result(deadline.left())
    except JobError as error:
        stopped = str(error)
    result = finished(work)
    if not result["seconds"]:
        raise JobError(stopped or "no job has finished")
    return dict(size=size, stopped=stopped, **result)


def compare(archive: Path, work: Path, size: str, processes: int) -> None:
    """Run compare.py.

    Raises:
        JobError: it failed.
    """
    options = ["--data", archive, "--work-dir", work, "--size", size, "--seeds", 0,
               "--processes", processes]  # fmt: skip
    status = subprocess.run([sys.executable, str(COMPARE), *map(str, options)]).returncode
    if status:
        raise JobError(f"compare.py exited with {status}; log: cifar10.log")


def finished(work: Path) -> dict[str, Any]:
    """Return seconds of finished jobs, seconds per epoch, and accuracies by job and epoch."""
    seconds = {
        file.stem: json.loads(file.read_text())["wall"] for file in sorted(work.glob("*.done"))
    }
    calibration = work / "calibration.json"
    accuracies = {}
    for name in seconds:
        probe = work / f"{name}.json"
        if name.endswith("_probe") and probe.is_file():
            accuracies[name.removesuffix("_probe")] = json.loads(probe.read_text())
    return dict(
        seconds=seconds,
        seconds_per_epoch=json.loads(calibration.read_text()) if calibration.is_file() else {},
        accuracies=accuracies,
    )
