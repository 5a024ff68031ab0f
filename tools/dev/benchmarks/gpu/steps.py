"""Training steps of our methods and mmpretrain's, measured and modeled."""

from pathlib import Path
from typing import Any

from gpu.contest import Contestant, contestants
from gpu.deadline import Deadline
from gpu.job import Job, JobError
from gpu.machine import device_name
from gpu.model import predict, rates_of
from gpu.step import measure

SECONDS = 120  # of a contestant, whose compilation takes the longest


def run_steps(
    device: str, out: Path, deadline: Deadline, small: bool, batches: tuple[int, ...]
) -> dict[str, Any]:
    """Measure all contestants, each in a separate process, and model their eager steps."""
    chosen = contestants(device, small, batches)
    gpu = rates_of(device_name(device))
    modeling = Job(predict, chosen, gpu, log=out / "modeled.log")
    modeling.start()  # on the CPU, while the GPU is measured
    measured: list[dict[str, Any]] = []
    following = _job(chosen[0], out)
    for index, contestant in enumerate(chosen):
        job = following
        if index + 1 < len(chosen):
            following = _job(chosen[index + 1], out)
        measured += _rows(contestant, job, deadline)
    result: dict[str, Any] = dict(gpu_of_model=gpu, measured=measured)
    try:
        result["modeled"] = modeling.result(deadline.left())
    except JobError as error:
        result.update(modeled=[], modeled_error=str(error))
    return result


def _job(contestant: Contestant, out: Path) -> Job:
    words = contestant.name, contestant.dtype, "compiled" if contestant.compiled else "eager"
    name = "_".join(words).replace(" ", "_").replace("'", "")
    return Job(measure, contestant, log=out / f"steps_{name}.log")


def _rows(contestant: Contestant, job: Job, deadline: Deadline) -> list[dict[str, Any]]:
    named = dict(
        name=contestant.name,
        peer=contestant.peer,
        dtype=contestant.dtype,
        compiled=contestant.compiled,
    )
    try:
        if deadline.left() == 0:
            job.end()
            raise JobError("no time left")
        job.start()
        return [named | row for row in job.result(min(SECONDS, deadline.left()))]
    except JobError as error:
        return [named | dict(batch=batch, error=str(error)) for batch in contestant.batches]
