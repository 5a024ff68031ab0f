"""Measure our pre-training step as batch, resolution, model size or number of processes grows.

Every row is measured in a new process, one after the other. CPU time, of the first process, is
disturbed less by other programs than wall time, but is not meaningful on a GPU. The exponent is the
slope of a figure over the growing quantity in a log-log plot; 1 is linear. Peak memory has a
constant part (weights, AdamW state), so the table reports its linear slope. Several processes have
separate batches and average gradients by DistributedDataParallel (NCCL on GPUs, otherwise gloo).
"""

import argparse
import gc
import json
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from arguments import batch_size, image_side, positive
from common import ContestantError, TrainStep
from contestants import CONTESTANTS, Setup, windows
from growth import FIGURES, Row, exponent, row, slope, table
from meters import MemoryMeter
from mmengine.logging import MMLogger
from torch import Tensor, distributed, nn

from mim_plugins.cli import add_device_option

SWEEPS = ("batch", "pixels", "model", "processes")
WARMUP_STEPS = 2


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", choices=sorted(CONTESTANTS), default="mixmae")
    parser.add_argument("--sweeps", nargs="+", choices=SWEEPS, default=SWEEPS)
    parser.add_argument("--batches", nargs="+", type=batch_size, default=[2, 4, 8])
    parser.add_argument("--img-sizes", nargs="+", type=image_side, default=[224, 448])
    parser.add_argument("--archs", nargs="+", help="names or JSON objects (default: all names)")
    parser.add_argument("--processes", nargs="+", type=positive, default=[1, 2])
    parser.add_argument("--arch", default="base", help="value in the other sweeps")
    parser.add_argument("--batch", type=batch_size, default=2, help="value in the other sweeps")
    parser.add_argument(
        "--img-size", type=image_side, default=224, help="value in the other sweeps"
    )
    parser.add_argument("--repeats", type=positive, default=5, help="timed steps per row")
    add_device_option(parser)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads of each process")
    parser.add_argument(
        "--teacher", default="vit_base_patch16_224", help="timm name of MR-MAE's teacher"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    args = parser.parse_args()
    args.archs = args.archs or (
        ["base", "large", "huge"] if args.method == "mixmae" else ["small", "base", "large"]
    )
    if len({tuple(windows(side)) for side in args.img_sizes}) > 1 and args.method == "mixmae":
        parser.error(
            "--img-sizes: all sizes must have the same windows; use multiples of 224. Windows are "
            + ", ".join(f"{windows(side)} at {side} px" for side in args.img_sizes)
        )
    if args.device.startswith("cuda") and max(args.processes) > torch.cuda.device_count():
        parser.error(
            f"--processes: at most {torch.cuda.device_count()}, the number of CUDA devices"
        )
    return args


class Loss(nn.Module):
    """Loss of a model as a forward pass, for DistributedDataParallel."""

    def __init__(self, model: nn.Module, loss: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, images: Tensor) -> Tensor:
        """Compute the loss of normalized images."""
        return self.loss(images)


def measure(
    setup: Setup, repeats: int, threads: int, processes: int = 1, distribute: bool = False
) -> Row:
    """Measure a step in new processes, each with a full batch.

    Raises:
        ContestantError: a process failed.
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
            replica.terminate()  # it would wait for the failed process
        replica.join()
    if isinstance(answer, str):
        raise ContestantError(f"one of {processes} processes failed\n{answer}")
    seconds, cpu_seconds, flops, peak_bytes = answer
    return row(seconds, cpu_seconds, flops, peak_bytes, setup.batch * processes)


def _replica(
    rank: int,
    address: str | None,
    world: int,
    setup: Setup,
    repeats: int,
    threads: int,
    answers: Any,
) -> None:
    """Measure the steps of one process; a string as an answer is a traceback."""
    try:
        torch.set_num_threads(threads)
        MMLogger.get_instance("benchmark", log_level="ERROR")  # omits a line per tensor
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
    except Exception:  # the parent reports any exception
        answers.put(traceback.format_exc())


def _share_gradients(step: TrainStep, address: str, rank: int, world: int) -> None:
    backend = "nccl" if step.setup.device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, init_method=address, rank=rank, world_size=world)
    step.loss = nn.parallel.DistributedDataParallel(
        Loss(step.model, step.loss), broadcast_buffers=False
    )


def sweep(name: str, args: argparse.Namespace, base: Setup) -> dict:
    """Measure the rows of one sweep; for batch and pixels, also compute exponents."""
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


def main() -> None:
    args = parse_args()
    given = {key: value for key, value in vars(args).items() if key in Setup.__dataclass_fields__}
    base = Setup(**given, teacher_dtype=None)
    result: dict[str, Any] = dict(setup=vars(base), repeats=args.repeats, threads=args.threads)
    print(
        f"{args.method}; outside the sweeps: {args.arch}, {args.batch} images of"
        f" {args.img_size} px; {args.device}, {args.dtype}, {args.threads} threads; medians of"
        f" {args.repeats} steps"
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
