"""Measuring training steps of several models in turn, each in a process of its own."""

import gc
import multiprocessing
import time
import traceback
import warnings
from contextlib import nullcontext
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from contestants import Setup, build
from mmengine.logging import MMLogger
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

PARTS = ("forward", "backward", "optimizer")
WARMUP_STEPS = 1
COMPILED_WARMUP_STEPS = 3  # each with a mask of its own
PRODUCTS = 4
MIB = 2**20


class ContestantError(Exception):
    """A contestant could not be built or run; the text ends with its traceback."""


class Contestant:
    """A model in a process of its own, which does a training step when asked.

    Args:
        name: one of the ``CONTESTANTS`` of the setup's method.
        setup: what it shares with the others.
        threads: CPU threads of the process; None leaves PyTorch's choice.
    """

    def __init__(self, name: str, setup: Setup, threads: int | None) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.warmup_s = 0.0  # seconds of the steps before the first that is measured
        self.late_graphs = 0  # graphs that were compiled after these
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, name, setup, threads), daemon=True
        )
        self._process.start()
        theirs.close()

    def wait(self) -> float:
        """Wait until it is built and warm; returns the operations of a step."""
        self.warmup_s, flops = self._receive()
        return flops

    def step(self) -> dict[str, float]:
        """Seconds of each of the ``PARTS`` of one more step."""
        self._pipe.send("step")
        return self._receive()

    def finish(self) -> float:
        """End the process; returns the peak memory in bytes."""
        self._pipe.send("finish")
        peak, self.late_graphs = self._receive()
        self._process.join()
        return peak

    def _receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise ContestantError(f"the process of {self.name} was killed") from None
        if isinstance(answer, str):
            raise ContestantError(f"{self.name} failed\n{answer}")
        return answer


def _serve(pipe: Connection, name: str, setup: Setup, threads: int | None) -> None:
    """What a contestant's process does; a string as an answer is a traceback."""
    try:
        if threads:
            torch.set_num_threads(threads)
        warnings.filterwarnings("ignore", message=".*pretrained=None")  # only speed matters
        MMLogger.get_instance("benchmark", log_level="ERROR")  # no word per initialized tensor
        meter = MemoryMeter(setup.device)
        step = TrainStep(name, setup)
        flops = step.count_flops()
        if setup.compile:
            step.compile()
        start = time.perf_counter()
        for _ in range(COMPILED_WARMUP_STEPS if setup.compile else WARMUP_STEPS):
            step()
        warmup_s = time.perf_counter() - start
        gc.collect()
        meter.restart()
        graphs = compiled_graphs()
        pipe.send((warmup_s, flops))  # ready: nothing runs any more unless asked for
        while pipe.recv() == "step":
            pipe.send(step())
        pipe.send((meter.peak(), compiled_graphs() - graphs))
    except Exception:  # whatever it is, the parent reports it
        pipe.send(traceback.format_exc())


class TrainStep:
    """Forward, backward and AdamW of one contestant on one batch of noise."""

    def __init__(self, name: str, setup: Setup) -> None:
        self.setup = setup
        self.model, self.loss = build(name, setup)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        # None leaves PyTorch's choice
        self.optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=setup.fused or None)
        torch.manual_seed(1)
        shape = (setup.batch, 3, setup.img_size, setup.img_size)
        self.images = torch.randn(shape).to(setup.device)

    def compile(self) -> None:
        """From now on, compile the loss."""
        # sizes never change, so that each stage may have kernels of its own
        self.loss = torch.compile(self.loss, dynamic=False)

    def __call__(self) -> dict[str, float]:
        """Seconds of each part.

        Raises:
            ValueError: the loss is not finite.
        """
        marks = [self._now()]
        loss = self._forward()
        marks.append(self._now())
        loss.backward()
        marks.append(self._now())
        self.optimizer.step()
        self.optimizer.zero_grad()
        marks.append(self._now())
        if not torch.isfinite(loss):
            raise ValueError("the loss is not finite")
        seconds = (end - start for start, end in pairwise(marks))
        return dict(zip(PARTS, seconds, strict=True))

    def count_flops(self) -> int:
        """Floating-point operations of forward and backward, those in attention included."""
        torch.manual_seed(0)  # one mask for all counts: it decides the work of attention
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            self._forward().backward()
        self.optimizer.zero_grad()
        return counter.get_total_flops()

    def _forward(self) -> Tensor:
        device, dtype = torch.device(self.setup.device), getattr(torch, self.setup.dtype)
        narrow = dtype != torch.float32
        with torch.autocast(device.type, dtype) if narrow else nullcontext():
            return self.loss(self.images)

    def _now(self) -> float:
        synchronize(self.setup.device)
        return time.perf_counter()


def compiled_graphs() -> int:
    """Graphs that torch.compile has made in this process so far."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def check_compiler(device: str) -> None:
    """Compile something small.

    Raises:
        ContestantError: there is no compiler that works.
    """
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device=device))
    except Exception as error:  # which one depends on what is missing
        reason = next(line for line in str(error).splitlines() if line.strip())
        raise ContestantError(
            f"--compile: torch.compile does not work for {device} here ({reason}). It needs a C++"
            " compiler such as g++ on the CPU, and Triton as well on a GPU; leave --compile out"
        ) from None


class MemoryMeter:
    """Peak memory: CUDA's allocated bytes, or a process's resident bytes beyond its imports."""

    def __init__(self, device: str) -> None:
        self.on_cuda = device.startswith("cuda")
        self.before = 0 if self.on_cuda else _resident("VmRSS")

    def restart(self) -> None:
        """Forget the peak so far."""
        if self.on_cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return  # the peak of building the model then counts as well

    def peak(self) -> float:
        """Bytes."""
        if self.on_cuda:
            return torch.cuda.max_memory_allocated()
        return _resident("VmHWM") - self.before


def _resident(field: str) -> int:
    """A field of Linux's process status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def synchronize(device: str) -> None:
    """Wait for the device to have done its work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class MatrixProduct:
    """The device's own rate of matrix products, to which models are compared."""

    def __init__(self, device: str, dtype: str) -> None:
        self.device = device
        side = 8192 if device.startswith("cuda") else 1536
        self.matrix = torch.randn(side, side).to(device, getattr(torch, dtype))
        self()  # warm-up

    @torch.no_grad()
    def __call__(self) -> float:
        """Floating-point operations per second of the fastest of some products."""
        seconds = []
        for _ in range(PRODUCTS):
            synchronize(self.device)
            start = time.perf_counter()
            nn.functional.linear(self.matrix, self.matrix)
            synchronize(self.device)
            seconds.append(time.perf_counter() - start)
        return 2 * len(self.matrix) ** 3 / min(seconds)


def compete(names: tuple[str, ...], setup: Setup, repeats: int, threads: int | None) -> dict:
    """Steps of all contestants in turn, A B C A B C ..., and what they took.

    Returns:
        ``matmul_flops_per_s``, the best that was seen, and, under ``contestants``, for each name
        the seconds of every repeat (``steps``), ``flops``, ``peak_bytes``, and, for
        torch.compile, ``warmup_s`` and ``late_graphs``.

    Raises:
        ContestantError: one of them failed.
    """
    if threads:
        torch.set_num_threads(threads)
    if setup.compile:
        check_compiler(setup.device)
    product = MatrixProduct(setup.device, setup.dtype)
    contestants = [Contestant(name, setup, threads) for name in names]
    steps: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    flops = {contestant.name: contestant.wait() for contestant in contestants}
    rates = []
    for _ in range(repeats):
        rates.append(product())
        for contestant in contestants:
            steps[contestant.name].append(contestant.step())
    return dict(
        matmul_flops_per_s=max(rates),
        contestants={
            c.name: dict(
                steps=steps[c.name],
                flops=flops[c.name],
                peak_bytes=c.finish(),
                warmup_s=c.warmup_s,
                late_graphs=c.late_graphs,
            )
            for c in contestants
        },
    )
