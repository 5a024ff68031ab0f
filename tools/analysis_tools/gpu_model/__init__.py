"""Cost of a training step on a GPU, modeled on tensors without values."""

from .compiled_module import CompiledModule, compile_for_cost
from .cuda_autocast import CudaAutocast
from .fusion import FusedGraph, fuse
from .gpu_cost import (
    PHASES,
    GpuCost,
    SimulatedGpu,
    is_dense,
    move_to_gpu,
    simulated_gpu,
    training_cost,
)
from .gpu_fit import GpuFit, fit_memory
from .gpu_rates import GPUS, GpuRates
from .gpu_trace import GpuTrace, Operation
from .graph_counts import GraphCounts, count_graphs
from .sdpa_backend import AttentionOfGpus, choose_backend
from .training_batch import training_batch

__all__ = [
    "GPUS",
    "PHASES",
    "AttentionOfGpus",
    "CompiledModule",
    "CudaAutocast",
    "FusedGraph",
    "GpuCost",
    "GpuFit",
    "GpuRates",
    "GpuTrace",
    "GraphCounts",
    "Operation",
    "SimulatedGpu",
    "choose_backend",
    "compile_for_cost",
    "count_graphs",
    "fit_memory",
    "fuse",
    "is_dense",
    "move_to_gpu",
    "simulated_gpu",
    "training_batch",
    "training_cost",
]
