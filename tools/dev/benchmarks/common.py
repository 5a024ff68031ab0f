"""Measurement of alternating training steps of several models, each in a separate process."""

import gc
import multiprocessing
import time
import traceback
import warnings
from contextlib import nullcontext
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import torch
from contestants import Setup, build
from meters import MatrixProduct, MemoryMeter, synchronize
from mmengine.logging import MMLogger
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

PARTS = ("forward", "backward", "optimizer")
WARMUP_STEPS = 1
COMPILED_WARMUP_STEPS = 3  # with different masks


class ContestantError(Exception):
    """A contestant could not be built or run; the message ends with its traceback."""


class Contestant:
    """A model in a separate process, which runs one training step per call.

    Args:
        name: one of the ``CONTESTANTS`` of the setup's method.
        setup: settings shared with the other contestants.
        threads: CPU threads of the process; None keeps PyTorch's default.
    """

    def __init__(self, name: str, setup: Setup, threads: int | None) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.warmup_s = 0.0  # seconds of the steps before the first measured one
        self.late_graphs = 0  # graphs compiled after the warm-up
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, name, setup, threads), daemon=True
        )
        self._process.start()
        theirs.close()

    def wait(self) -> float:
        """Wait until the model is built and warmed up, and return the operations of a step."""
        self.warmup_s, flops = self._receive()
        return flops

    def step(self) -> dict[str, float]:
        """Run one step, and return the seconds of each of the ``PARTS``."""
        self._pipe.send("step")
        return self._receive()

    def finish(self) -> float:
        """End the process, and return its peak memory in bytes."""
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
    """Run the steps of a contestant's process; a string as an answer is a traceback."""
    try:
        if threads:
            torch.set_num_threads(threads)
        warnings.filterwarnings("ignore", message=".*pretrained=None")  # only speed matters
        MMLogger.get_instance("benchmark", log_level="ERROR")  # omits a line per tensor
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
        pipe.send((warmup_s, flops))  # from here on, steps run only on request
        while pipe.recv() == "step":
            pipe.send(step())
        pipe.send((meter.peak(), compiled_graphs() - graphs))
    except Exception:  # the parent reports any exception
        pipe.send(traceback.format_exc())


class TrainStep:
    """Forward, backward and AdamW update of one contestant on one batch of noise."""

    def __init__(self, name: str, setup: Setup) -> None:
        self.setup = setup
        self.model, self.loss = build(name, setup)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        # None keeps PyTorch's default
        self.optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=setup.fused or None)
        torch.manual_seed(1)
        shape = (setup.batch, 3, setup.img_size, setup.img_size)
        self.images = torch.randn(shape).to(setup.device)

    def compile(self) -> None:
        """Compile the loss for all following steps."""
        preprocessor: Any = self.model.data_preprocessor
        preprocessor.static_shapes = True  # of MixMAE; others ignore it
        # sizes never change, so each stage can have specialized kernels
        self.loss = torch.compile(self.loss, dynamic=False)

    def __call__(self) -> dict[str, float]:
        """Run one step, and return the seconds of each part.

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
        """Count the floating-point operations of forward and backward, attention included."""
        torch.manual_seed(0)  # the mask determines the cost of attention, so all counts share one
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
    """Return the number of graphs compiled in this process so far."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def check_compiler(device: str) -> None:
    """Check that torch.compile works, on a small function.

    Raises:
        ContestantError: no working compiler is installed.
    """
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device=device))
    except Exception as error:  # the type depends on the missing component
        reason = next(line for line in str(error).splitlines() if line.strip())
        raise ContestantError(
            f"--compile: torch.compile does not work for {device} here ({reason}). It needs a C++"
            " compiler such as g++ on the CPU, and Triton as well on a GPU; leave --compile out"
        ) from None


def compete(names: tuple[str, ...], setup: Setup, repeats: int, threads: int | None) -> dict:
    """Measure alternating steps of all contestants: A B C A B C ...

    Returns:
        ``matmul_flops_per_s``, the highest measured rate, and ``contestants``: for each name the
        seconds of every repeat (``steps``), ``flops``, ``peak_bytes`` and, with torch.compile,
        ``warmup_s`` and ``late_graphs``.

    Raises:
        ContestantError: a contestant failed.
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
