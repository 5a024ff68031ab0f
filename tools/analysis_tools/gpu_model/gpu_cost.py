"""Cost of a training step on a GPU, computed without a GPU."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.models.utils import ClsDataPreprocessor
from torch import Tensor, nn
from torch.autograd.graph import _engine_run_backward

from mim_plugins.algorithms.dependent_parts import image_channels
from mim_plugins.analysis import saved_for_backward
from mim_plugins.data_preprocessors import copy_without_waiting

from .compiled_module import compile_for_cost
from .cuda_autocast import CudaAutocast
from .gpu_rates import GpuRates
from .gpu_trace import GpuTrace, Operation
from .sdpa_backend import AttentionOfGpus
from .training_batch import training_batch

PHASES = ("forward", "backward", "optimizer")


class GpuCost(NamedTuple):
    """Cost of a training step on a GPU; modeled, not measured."""

    operations: list[Operation]
    """Operations of the step, with their phase: forward, backward or optimizer."""
    waits: list[tuple[str, str]]
    """Phase and cause of each place where the host waits for the GPU."""
    attention: Counter
    """Calls of scaled dot product attention by kernel and reason for the math path."""
    kept_bytes: int
    """Bytes that the forward pass saves for the backward pass."""
    peak_bytes: int
    """Largest number of bytes of all tensors, including weights and optimizer state."""

    @property
    def triton_attention(self) -> int:
        """Number of calls of the Triton kernels of attention in forward passes."""
        return sum(x.name == "biased_attention" for x in self.operations)

    def launches(self, phase: str | None = None) -> int:
        """Count the kernels of a phase, or of the step."""
        return sum(x.launches for x in self.of(phase))

    def bytes(self, phase: str | None = None) -> int:
        """Return the bytes that a phase, or the step, reads and writes."""
        return sum(x.bytes for x in self.of(phase))

    def flops(self, phase: str | None = None) -> int:
        """Return the floating-point operations of a phase, or of the step."""
        return sum(x.flops for x in self.of(phase))

    def seconds(self, rates: GpuRates, phase: str | None = None) -> float:
        """Return the modeled time of a phase, or of the step, if the GPU is never idle."""
        return sum(rates.seconds(x) for x in self.of(phase))

    def mfu(self, rates: GpuRates) -> float:
        """Return the share of the data sheet's FLOP/s that the modeled step reaches."""
        return self.flops() / self.seconds(rates) / rates.peak

    def of(self, phase: str | None) -> Iterator[Operation]:
        """Yield the operations of a phase, or of the step."""
        return (x for x in self.operations if phase in (None, x.phase))


class _TracedWrapper(OptimWrapper):
    """Optimizer wrapper with CUDA's autocast that marks the phases of a step."""

    trace: GpuTrace
    autocast: CudaAutocast
    dtype: torch.dtype
    kept_bytes = 0

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        self.trace.phase = "forward"
        own = [*model.parameters(), *model.buffers()]
        with super().optim_context(model), self._precision():
            with saved_for_backward(own) as saved:
                yield
            self.kept_bytes = sum(storage.nbytes() for storage in saved.values())

    def _precision(self) -> Any:
        return self.autocast.region(self.dtype, self.dtype != torch.float32)

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        self.trace.phase = "backward"
        # Checkpointing recomputes the forward pass, to which autocast and attention kernels apply.
        # Inside of PyTorch's public functions, their modes would not be active.
        with self._precision():
            _engine_run_backward(
                (loss,), (torch.ones_like(loss),), False, False, (),
                allow_unreachable=True, accumulate_grad=True,
            )  # fmt: skip
        self._inner_count += 1

    def step(self, **kwargs: Any) -> None:
        self.trace.phase = "optimizer"
        super().step(**kwargs)


class SimulatedGpu(NamedTuple):
    """Parts of :func:`simulated_gpu`."""

    trace: GpuTrace
    """Records operations, host waits and memory."""
    autocast: CudaAutocast
    """Casts as CUDA's autocast; disabled outside of ``autocast.region(...)``."""
    attention: AttentionOfGpus
    """Records the kernels of attention."""


@contextmanager
def simulated_gpu(capability: int = 9) -> Iterator[SimulatedGpu]:
    """Let the device ``meta`` stand for a GPU of a major compute capability, 8 or above."""
    trace, autocast = GpuTrace(), CudaAutocast(None)
    attention = AttentionOfGpus(autocast, capability)
    fused = "torch.optim.optimizer._get_fused_kernels_supported_devices"
    with trace, autocast, attention, patch(fused, lambda: ["cpu", "meta"]):
        yield SimulatedGpu(trace, autocast, attention)


def training_cost(
    model: Any, cfg: Config, batch: int, img_size: tuple[int, int], dtype: torch.dtype,
    capability: int = 9, scope: str | None = None, memory_budget: float = 1.0,
) -> GpuCost:  # fmt: skip
    """Run one training step as on a GPU: preprocessing, forward, backward and optimizer.

    Batches of classifiers are copied as in ``tools/train.py``, see :func:`copy_without_waiting`.

    Of detectors and segmentors, only the backbone runs, and the sum of its outputs is the loss.

    Args:
        model: model of the config on the device ``meta``, in training mode; it moves to the GPU.
        cfg: config with ``optim_wrapper``, and with the mask generator in its training pipeline if
            the model needs one.
        batch: images per step.
        img_size: (H, W), in pixels.
        dtype: precision of autocast; float32 for none.
        capability: major compute capability of the GPU, 8 or above.
        scope: what ``torch.compile`` compiles, see :func:`compile_for_cost`; None for eager.
        memory_budget: share of the activations that compiled graphs keep, see
            :func:`set_memory_budget`.
    """
    step = _step(model, cfg, batch, img_size)
    with simulated_gpu(capability) as gpu:
        move_to_gpu(model)
        if scope is not None:
            compile_for_cost(model, gpu.trace, gpu.autocast, scope, memory_budget)
        wrapper = _wrapper(model, cfg)
        wrapper.trace, wrapper.autocast, wrapper.dtype = gpu.trace, gpu.autocast, dtype
        gpu.trace.reset()
        step(wrapper)
    return GpuCost(
        gpu.trace.operations,
        gpu.trace.waits,
        Counter((backend, reason) for backend, reason, _ in gpu.attention.calls),
        wrapper.kept_bytes,
        gpu.trace.peak_bytes,
    )


def move_to_gpu(model: nn.Module) -> None:
    """Move a model to the device ``meta``, which stands for the GPU; its memory is recorded."""
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                empty = torch.empty_like(parameter, device="meta")
                module._parameters[name] = nn.Parameter(empty, parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty_like(buffer, device="meta")
    model.to("meta")  # sets the device of the data preprocessor


def _wrapper(model: nn.Module, cfg: Config) -> Any:
    settings = copy.deepcopy(cfg.optim_wrapper)
    for name in ("type", "loss_scale", "use_fsdp", "dtype"):
        settings.pop(name, None)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope")):
        wrapper: Any = build_optim_wrapper(model, settings | dict(type=_TracedWrapper))
    groups = wrapper.optimizer.param_groups
    for group in groups:
        # PyTorch's default on GPUs
        if "foreach" in group and group["foreach"] is None and not group.get("fused"):
            group["foreach"] = True
    for parameter in (p for group in groups for p in group["params"]):
        parameter.grad = torch.empty_like(parameter)
    wrapper.optimizer.step()  # creates the state
    wrapper.optimizer.zero_grad()
    return wrapper


def is_dense(model: Any) -> bool:
    """Return whether a model is a detector or segmentor, of which only the backbone is modeled."""
    return any(hasattr(model, name) for name in ("bbox_head", "decode_head", "roi_head"))


def _step(
    model: Any, cfg: Config, batch: int, img_size: tuple[int, int]
) -> Callable[[_TracedWrapper], Any]:
    """Return the function that runs a step."""
    if is_dense(model):
        shape = (batch, image_channels(model.backbone), *img_size)
        return lambda wrapper: _backbone_step(model, shape, wrapper)
    data = training_batch(model, cfg, batch, img_size)
    if isinstance(model.data_preprocessor, ClsDataPreprocessor):
        copy_without_waiting(model.data_preprocessor)
    return lambda wrapper: model.train_step(data, wrapper)


def _backbone_step(model: Any, shape: tuple[int, ...], wrapper: _TracedWrapper) -> None:
    with wrapper.optim_context(model):
        outputs = model.backbone(torch.empty(shape, device="meta"))
        loss = torch.stack([output.float().sum() for output in outputs]).sum()
    wrapper.update_params(loss)
