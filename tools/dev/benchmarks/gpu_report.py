"""Test and measure this package on a GPU, and write report.json and report.md.

Sections, in order: the tests of tests/gpu; training steps of our methods and of mmpretrain's, with
the cost model's figures next to them; data loading; and the comparison on CIFAR-10 for as long as
time is left. Each section runs in separate processes. If one fails, its error is reported, and the
next one starts. Without a GPU, everything is small and runs on the CPU.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from arguments import batch_size, positive
from gpu.cifar10 import run_cifar10
from gpu.deadline import Deadline
from gpu.job import one_line
from gpu.loading import run_loading
from gpu.machine import describe
from gpu.page import page
from gpu.steps import run_steps
from gpu.suite import run_suite

SECTIONS = ("suite", "steps", "loading", "cifar10")
# of the remaining time, which leaves some to the sections that follow
SHARES = dict(suite=0.35, steps=0.75, loading=0.6, cifar10=0.9)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of report and logs")
    parser.add_argument(
        "--minutes", type=float, default=9.5, help="time of all sections together (default: 9.5)"
    )
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument(
        "--batches", nargs="+", type=batch_size, help="images per step (default: 64 256)"
    )
    parser.add_argument("--data", type=Path, help="folder of images for data loading")
    parser.add_argument("--cifar10", type=Path, help="cifar10.tar.xz, or its folder")
    parser.add_argument(
        "--commit", help="commit of the files, if they are not in a checkout of git"
    )
    parser.add_argument(
        "--cifar10-processes", type=positive, default=4, help="concurrent jobs on CIFAR-10"
    )
    parser.add_argument(
        "--small",
        action="store_true",
        default=not torch.cuda.is_available(),
        help="tiny models on the CPU (default without a GPU)",
    )
    args = parser.parse_args()
    if args.minutes <= 0:
        parser.error(f"--minutes {args.minutes:g} must be positive")
    return args


def main() -> None:
    args = parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if args.small:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    device = "cpu" if args.small else "cuda"
    deadline = Deadline(60 * args.minutes)
    report: dict[str, Any] = dict(
        machine=describe(device, args.commit), small=args.small, sections={}
    )
    for name in args.sections:
        share = 1.0 if name == args.sections[-1] else SHARES[name]
        limit = Deadline(share * deadline.left())
        report["sections"][name] = guarded(partial(run, name, args, device, out, limit))
        (out / "report.json").write_text(json.dumps(report, indent=1))
        (out / "report.md").write_text(page(report))
        error = report["sections"][name].get("error")
        seconds = report["sections"][name]["seconds"]
        print(f"{name}: {seconds:.0f} s{f'; {error}' if error else ''}", flush=True)
    print(f"report: {args.out / 'report.md'}")


def run(
    name: str, args: argparse.Namespace, device: str, out: Path, deadline: Deadline
) -> dict[str, Any]:
    """Run a section, and return its figures."""
    cores = len(os.sched_getaffinity(0))
    if name == "suite":
        return run_suite(device, out, deadline, args.small)
    if name == "steps":
        batches = tuple(args.batches or ([4] if args.small else [64, 256]))
        return run_steps(device, out, deadline, args.small, batches)
    if name == "loading":
        return run_loading(args.data, out, deadline, args.small, cores)
    size = "smoke" if args.small else "full"
    return run_cifar10(args.cifar10, out, deadline, size, args.cifar10_processes)


def guarded(section: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the figures of a section with its seconds, or its error in one line."""
    start = time.monotonic()
    try:
        result = section()
    except Exception as error:  # the report goes on with the next section
        result = dict(error=one_line(error))
    return result | dict(seconds=time.monotonic() - start)


if __name__ == "__main__":
    main()
