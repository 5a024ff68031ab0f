"""Cost of our pre-training step as one thing grows: batch, resolution, model size or processes.

Every row is measured in a process of its own, one after the other. CPU time, of the first process,
is disturbed less by other programs than the clock's; on a GPU it says little. The exponent is the
slope of the row's figure over what grows, both in logarithms: 1 is linear. Peak memory has a part
that does not grow (weights, AdamW's state), so its slope is given instead. With processes, each has
its own batch, and they share gradients by DistributedDataParallel (NCCL on GPUs, else gloo).
"""

import argparse
import gc
import json
import math
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import torch
import torch.multiprocessing
from arguments import batch_size, image_side, positive
from common import MIB, ContestantError, MemoryMeter, TrainStep
from contestants import CONTESTANTS, Setup, windows
from mmengine.logging import MMLogger
from torch import Tensor, distributed, nn
from train_step import spread

from mim_plugins.cli import add_device_option

SWEEPS = ("batch", "pixels", "model", "processes")
FIGURES = dict(step_s="step", least_s="fastest step", cpu_s="CPU time", gflops="GFLOP")
GROWTHS = ("step_s", "cpu_s", "images_per_s", "gflops", "peak_memory_mib")
WARMUP_STEPS = 2
Row = dict[str, Any]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", choices=sorted(CONTESTANTS), default="mixmae")
    parser.add_argument("--sweeps", nargs="+", choices=SWEEPS, default=SWEEPS)
    parser.add_argument("--batches", nargs="+", type=batch_size, default=[2, 4, 8])
    parser.add_argument("--img-sizes", nargs="+", type=image_side, default=[224, 448])
    parser.add_argument("--archs", nargs="+", help="names, or JSON objects; all that have a name")
    parser.add_argument("--processes", nargs="+", type=positive, default=[1, 2])
    parser.add_argument("--arch", default="base", help="of the other sweeps")
    parser.add_argument("--batch", type=batch_size, default=2, help="of the other sweeps")
    parser.add_argument("--img-size", type=image_side, default=224, help="of the other sweeps")
    parser.add_argument("--repeats", type=positive, default=5, help="timed steps of a row")
    add_device_option(parser)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads of each process")
    parser.add_argument("--teacher", default="vit_base_patch16_224", help="MR-MAE's, in timm")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    args = parser.parse_args()
    args.archs = args.archs or (
        ["base", "large", "huge"] if args.method == "mixmae" else ["small", "base", "large"]
    )
    if len({tuple(windows(side)) for side in args.img_sizes}) > 1 and args.method == "mixmae":
        parser.error(
            "--img-sizes: windows must be the same for all, so take multiples of 224; now they are "
            + ", ".join(f"{windows(side)} at {side} px" for side in args.img_sizes)
        )
    if args.device.startswith("cuda") and max(args.processes) > torch.cuda.device_count():
        parser.error(f"--processes: there are {torch.cuda.device_count()} CUDA devices")
    return args


def row(
    seconds: list[float], cpu_seconds: list[float], flops: float, peak_bytes: float, images: int
) -> Row:
    """The figures of a row; all but ``images`` those of one process."""
    step = spread(seconds)
    return dict(
        step_s=step["median"],
        least_s=step["min"],
        most_s=step["max"],
        cpu_s=median(cpu_seconds),
        images_per_s=images / step["median"],
        gflops=flops / 1e9,
        peak_memory_mib=peak_bytes / MIB,
    )


class Loss(nn.Module):
    """A model's loss as a forward pass, which DistributedDataParallel needs."""

    def __init__(self, model: nn.Module, loss: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, images: Tensor) -> Tensor:
        """Loss of normalized images."""
        return self.loss(images)


def measure(
    setup: Setup, repeats: int, threads: int, processes: int = 1, distribute: bool = False
) -> Row:
    """Figures of a step of new processes, each with a whole batch of its own.

    Raises:
        ContestantError: one of them failed.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    context = torch.multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    arguments = (address if distribute else None, processes, setup, repeats, threads, answers)
    replicas = [
        context.Process(target=_replica, args=(rank, *arguments), daemon=True)
        for rank in range(processes)
    ]
    for replica in replicas:
        replica.start()
    while answers.empty() and any(replica.is_alive() for replica in replicas):
        time.sleep(0.02)
    answer = "it was killed" if answers.empty() else answers.get()
    for replica in replicas:
        if isinstance(answer, str):
            replica.terminate()  # those that wait for the one that failed
        replica.join()
    if isinstance(answer, str):
        raise ContestantError(f"one of {processes} processes failed\n{answer}")
    return row(*answer, setup.batch * processes)


def _replica(
    rank: int,
    address: str | None,
    world: int,
    setup: Setup,
    repeats: int,
    threads: int,
    answers: Any,
) -> None:
    """What each process does; a string as an answer is a traceback."""
    try:
        torch.set_num_threads(threads)
        MMLogger.get_instance("benchmark", log_level="ERROR")  # no word per initialized tensor
        warnings.filterwarnings("ignore", message=".*pretrained=None")  # only speed matters
        if setup.device.startswith("cuda"):
            setup = replace(setup, device=f"cuda:{rank}")
            torch.cuda.set_device(rank)
        meter = MemoryMeter(setup.device)
        step = TrainStep(CONTESTANTS[setup.method][0], setup)
        flops = step.count_flops()
        if address is not None:
            _share_gradients(step, address, rank, world)
        for _ in range(WARMUP_STEPS):
            step()
        gc.collect()
        meter.restart()
        seconds, cpu_seconds = [], []
        for _ in range(repeats):
            if address is not None:
                distributed.barrier()
            before = time.process_time()
            seconds.append(sum(step().values()))
            cpu_seconds.append(time.process_time() - before)
        if rank == 0:
            answers.put((seconds, cpu_seconds, flops, meter.peak()))
        if address is not None:
            distributed.barrier()
            distributed.destroy_process_group()
    except Exception:  # whatever it is, the parent reports it
        answers.put(traceback.format_exc())


def _share_gradients(step: TrainStep, address: str, rank: int, world: int) -> None:
    backend = "nccl" if step.setup.device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, init_method=address, rank=rank, world_size=world)
    step.loss = nn.parallel.DistributedDataParallel(
        Loss(step.model, step.loss), broadcast_buffers=False
    )


def exponent(sizes: list[float], figures: list[float]) -> float | None:
    """Slope of log(figure) over log(size); None of fewer than two sizes."""
    return slope([math.log(size) for size in sizes], [math.log(figure) for figure in figures])


def slope(x: list[float], y: list[float]) -> float | None:
    """Of the line with the least squares; None of fewer than two different ``x``."""
    return linear_regression(x, y).slope if len(set(x)) > 1 else None


def sweep(name: str, args: argparse.Namespace, base: Setup) -> dict:
    """Rows of one sweep, and, for batch and pixels, how figures grow."""
    values = dict(
        batch=args.batches, pixels=args.img_sizes, model=args.archs, processes=args.processes
    )[name]
    field = dict(batch="batch", pixels="img_size", model="arch").get(name)
    rows = []
    for value in values:
        if field is None:
            figures = measure(base, args.repeats, args.threads, value, distribute=True)
        else:
            figures = measure(replace(base, **{field: value}), args.repeats, args.threads)
        rows.append({name: value**2 if name == "pixels" else value} | figures)
    result: dict[str, Any] = dict(rows=rows)
    if name in ("batch", "pixels"):
        sizes = [row[name] for row in rows]
        result["exponents"] = {key: exponent(sizes, [r[key] for r in rows]) for key in FIGURES}
        images = [size / sizes[0] * base.batch if name == "pixels" else size for size in sizes]
        result["peak_mib_per_image"] = slope(images, [r["peak_memory_mib"] for r in rows])
    return result


def table(name: str, result: dict) -> str:
    """One line per row, each figure with its growth relative to the first row."""
    rows = result["rows"]
    lines = [
        f"{name:>12} {'step s':>8} {'(min - max)':>17} {'growth':>7} {'CPU s':>8}"
        f" {'growth':>7} {'images/s':>9}"
        f" {'growth':>7} {'GFLOP':>9} {'growth':>7} {'peak MiB':>9} {'growth':>7}"
    ]
    for entry in rows:
        growth = {key: entry[key] / rows[0][key] for key in GROWTHS}
        lines.append(
            f"{str(entry[name])[:12]:>12} {entry['step_s']:8.3f}"
            f" {'{least_s:.3f} - {most_s:.3f}'.format(**entry):>17} {growth['step_s']:7.2f}"
            f" {entry['cpu_s']:8.3f} {growth['cpu_s']:7.2f}"
            f" {entry['images_per_s']:9.2f} {growth['images_per_s']:7.2f} {entry['gflops']:9.1f}"
            f" {growth['gflops']:7.3f} {entry['peak_memory_mib']:9.0f}"
            f" {growth['peak_memory_mib']:7.2f}"
        )
    exponents = result.get("exponents", {})
    if any(exponents.values()):
        lines.append(
            f"exponents over {name}: "
            + ", ".join(f"{FIGURES[key]} {value:.2f}" for key, value in exponents.items())
            + f"; peak memory grows by {result['peak_mib_per_image']:.0f} MiB per image"
            + (" of the first row's size" if name == "pixels" else "")
        )
    return "\n".join(lines)


def main() -> None:
    args = parse_args()
    given = {key: value for key, value in vars(args).items() if key in Setup.__dataclass_fields__}
    base = Setup(**given, teacher_dtype=None)
    result: dict[str, Any] = dict(setup=vars(base), repeats=args.repeats, threads=args.threads)
    print(
        f"{args.method}; where not swept: {args.arch}, {args.batch} images of {args.img_size} px;"
        f" {args.device}, {args.dtype}, {args.threads} threads; medians of {args.repeats} steps"
    )
    try:
        for arch in {args.arch, *args.archs}:
            replace(base, arch=arch).sizes()
        for name in args.sweeps:
            result[name] = sweep(name, args, base)
            print(table(name, result[name]), flush=True)
    except (ContestantError, ValueError) as error:
        sys.exit(f"error: {error}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
