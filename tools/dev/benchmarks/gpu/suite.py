"""GPU part of the test suite, one process per file."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gpu.deadline import Deadline
from gpu.job import Job, JobError
from gpu.machine import ROOT

SECONDS = 150  # of a file; compilation takes the longest
# the first are worth most
FILES = (
    "parity",
    "attention",
    "attention_kernel",
    "asynchronous_copies",
    "resume",
    "compile",
    "process_group",
    "dense_training",
)


def run_suite(device: str, out: Path, deadline: Deadline, small: bool) -> dict[str, Any]:
    """Run the tests of tests/gpu, and return their outcomes by file.

    Raises:
        JobError: there are no tests.
    """
    found = {path.stem.removeprefix("test_") for path in (ROOT / "tests/gpu").glob("test_*.py")}
    if small:
        found.discard("dense_training")  # other tests train these models on the CPU
    names = [name for name in FILES if name in found] + sorted(found - set(FILES))
    if not names:
        raise JobError(f"'{ROOT / 'tests/gpu'}' contains no tests: run the report in a checkout")
    jobs = _started_early(names, device, out)
    files = {}
    for name, job in jobs:
        try:
            if deadline.left() == 0:
                job.end()
                raise JobError("no time left")
            job.start()
            files[name] = job.result(min(SECONDS, deadline.left()))
        except JobError as error:
            files[name] = dict(error=str(error))
    return dict(files=files)


def _started_early(names: list[str], device: str, out: Path) -> Iterator[tuple[str, Job]]:
    """Yield each job when the next one has been created."""
    jobs: list[tuple[str, Job]] = []
    for name in names:
        result = out / f"tests_{name}.xml"
        job = Job(run_file, name, device, result, log=result.with_suffix(".log"))
        jobs.append((name, job))
        if len(jobs) == 2:
            yield jobs.pop(0)
    yield from jobs


def run_file(name: str, device: str, result: Path) -> dict[str, Any]:
    """Run a file of tests, and return the number of passed tests and the others' messages."""
    import pytest

    os.chdir(ROOT)
    os.environ["MIM_PLUGINS_DEVICE"] = device
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", f"--junitxml={result}", "-rs"]
    status = int(pytest.main([f"tests/gpu/test_{name}.py", *options]))
    if status > 1:  # 1: tests failed
        raise JobError(f"pytest exited with {status}; log: {result.with_suffix('.log').name}")
    return read_results(result)


def read_results(file: Path) -> dict[str, Any]:
    """Read pytest's XML file."""
    outcomes: dict[str, Any] = dict(passed=[], failed={}, skipped={}, kernels={}, measured=[])
    for case in ElementTree.parse(file).iter("testcase"):
        name = case.get("name", "")
        failure = [child for child in case if child.tag in ("failure", "error")]
        skip = case.find("skipped")
        if failure:
            lines = (failure[0].get("message") or "").splitlines()
            outcomes["failed"][name] = (lines or ["no message"])[0][:300]
        elif skip is not None:
            outcomes["skipped"][name] = skip.get("message", "")
        else:
            outcomes["passed"].append(name)
        for entry in case.iter("property"):
            if entry.get("name") == "kernels":
                outcomes["kernels"][name] = (entry.get("value") or "").split(" | ")
            elif entry.get("name") == "measured":
                outcomes["measured"].append(entry.get("value"))
    return outcomes
