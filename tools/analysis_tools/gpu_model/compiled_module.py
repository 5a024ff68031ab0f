"""Modules that run in the cost model as if ``torch.compile`` had compiled them."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._functorch import config
from torch._guards import TracingContext, tracing
from torch._subclasses import FakeTensorMode
from torch.func import functional_call
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from mim_plugins.algorithms import PretrainingModel
from mim_plugins.algorithms.compilation import compilable_blocks, set_memory_budget
from mim_plugins.errors import ConfigError

from .cuda_autocast import CudaAutocast
from .fusion import fuse
from .gpu_trace import GpuTrace
from .graph_reads import is_idle_copy, is_view, value_of


class _Place(NamedTuple):
    """Place of a tensor among the arguments of a call."""

    number: int


class CompiledModule:
    """Replacement of a module's ``__call__`` that records fused kernels instead of operations.

    AOTAutograd traces the graph of forward and backward pass, with Inductor's decompositions. Its
    min-cut partitioner chooses what is kept for the backward pass and what is computed again.
    :func:`fuse` divides both graphs into kernels.

    Args:
        module: compiled module.
        trace: records the kernels.
        autocast: casts the tensors.
        graphs: graphs that equal modules share.
        memory_budget: share of the activations that is kept.
    """

    def __init__(
        self,
        module: nn.Module,
        trace: GpuTrace,
        autocast: CudaAutocast,
        graphs: dict[str, Callable],
        memory_budget: float = 1.0,
    ) -> None:
        self.module, self.trace, self.autocast, self.graphs = module, trace, autocast, graphs
        self.memory_budget = memory_budget

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module; values are those of tensors on ``meta``, of which there are none."""
        inputs: list[Tensor] = []
        call = _extract((args, kwargs), inputs)
        own = {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}
        tensors = [*own.values(), *inputs]
        shapes = [(x.shape, x.stride(), x.dtype, x.requires_grad) for x in tensors]
        modes = torch.is_grad_enabled(), self.autocast.dtype
        key = repr((self.module, self.module.training, call, shapes, modes))
        if key not in self.graphs:
            self.graphs[key] = self._graph(list(own), call)
        # tensors outside of the module tree, such as those of teachers, are constants of the graph
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        with (
            patch.object(self.trace, "is_paused", True),
            self.autocast.separate_copies(),
            tracing(TracingContext(fake)),
            config.patch(activation_memory_budget=self.memory_budget),
        ):
            return self.graphs[key](list(own.values()), inputs)

    def _graph(self, names: list[str], call: Any) -> Callable:
        from functorch.compile import (
            aot_function,
            make_boxed_func,
            min_cut_rematerialization_partition,
        )
        from torch._inductor.decomposition import select_decomp_table

        def function(own: list[Tensor], inputs: list[Tensor]) -> Any:
            args, kwargs = _insert(call, inputs)
            with patch.object(self.module, "_compiled_call_impl", None):
                return functional_call(
                    self.module, dict(zip(names, own, strict=True)), args, kwargs
                )

        def compiler(graph: GraphModule, _: Any) -> Any:
            return make_boxed_func(_GraphCost(graph, self.trace))

        return aot_function(
            function,
            compiler,
            partition_fn=min_cut_rematerialization_partition,
            decompositions=select_decomp_table(),
        )


class _GraphCost:
    """Compiled graph: records its kernels and makes its outputs, without computing anything."""

    def __init__(self, graph: GraphModule, trace: GpuTrace) -> None:
        self.trace = trace
        self.nodes = list(graph.graph.nodes)
        self.kernels = fuse(graph.graph)

    def __call__(self, *inputs: Any) -> Any:
        trace = self.trace
        trace.operations += [replace(x, phase=trace.phase) for x in self.kernels.operations]
        with patch.object(trace, "is_paused", False):
            values: dict[Node, Any] = {}
            places = iter(inputs)
            for node in self.nodes:
                if node.op == "placeholder":
                    values[node] = next(places)
            outputs = map_arg(self.nodes[-1].args[0], lambda node: self._make(node, values))
        peak = trace.live_bytes + self.kernels.temporary_bytes
        trace.peak_bytes = max(trace.peak_bytes, peak)
        return outputs

    def _make(self, node: Any, values: dict[Node, Any]) -> Any:
        """Return a tensor like the result of a node; views share the memory of their source."""
        if node not in values:
            if is_idle_copy(node):
                values[node] = self._make(node.args[0], values)
            elif is_view(node):
                args = map_arg(node.args, lambda x: self._make(x, values))
                kwargs = map_arg(node.kwargs, lambda x: self._make(x, values))
                values[node] = node.target(*args, **kwargs)
            else:
                value = value_of(node)
                values[node] = torch.empty_strided(
                    value.shape, value.stride(), dtype=value.dtype, device="meta"
                )
        return values[node]


def compile_for_cost(
    model: Any,
    trace: GpuTrace,
    autocast: CudaAutocast,
    scope: str | None = None,
    memory_budget: float = 1.0,
) -> None:
    """Let a model on ``meta`` run as after ``model.compile(scope, memory_budget)``.

    Raises:
        ConfigError: the model is none of this package's pre-training models and ``scope`` is
            ``'model'``, or it has no list named ``blocks``, or :func:`set_memory_budget` refuses
            ``memory_budget``.
    """
    graphs: dict[str, Callable] = {}

    def compile(module: nn.Module, **_: Any) -> None:
        module._compiled_call_impl = CompiledModule(module, trace, autocast, graphs, memory_budget)

    with patch.object(nn.Module, "compile", compile):
        if isinstance(model, PretrainingModel):
            model.compile(scope=scope, memory_budget=memory_budget)
            return
        if scope == "model":
            raise ConfigError(
                f"compile: scope='model' must be 'blocks', because the model is"
                f" {type(model).__name__}; 'model' is for pre-training"
            )
        blocks = compilable_blocks(model)
        if not blocks:
            raise ConfigError(
                f"compile: {type(model).__name__} has no list named 'blocks', and nothing else is"
                " compiled in the cost model"
            )
        set_memory_budget(model, memory_budget)
        for block in blocks:
            block.compile()


def _extract(value: Any, tensors: list[Tensor]) -> Any:
    """Replace the tensors in nested arguments by their places in ``tensors``, and append them."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return _Place(len(tensors) - 1)
    return _rebuild(value, lambda x: _extract(x, tensors))


def _insert(value: Any, tensors: list[Tensor]) -> Any:
    """Invert :func:`_extract`."""
    if isinstance(value, _Place):
        return tensors[value.number]
    return _rebuild(value, lambda x: _insert(x, tensors))


def _rebuild(value: Any, change: Callable[[Any], Any]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in fields(value))
        return replace(value, **{name: change(getattr(value, name)) for name in names})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(change, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(change, value))
    if isinstance(value, dict):
        return {key: change(each) for key, each in value.items()}
    return value
