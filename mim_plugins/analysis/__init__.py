from .activation_memory import activation_bytes, saved_for_backward
from .compiled_module import CompiledModule, compile_for_cost
from .complexity import (
    StepCost,
    count_parameters,
    encoder_stages,
    forward_cost,
    multiply_accumulates,
    step_cost,
    transfer_cost,
)
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
from .meta_model import build_on_meta
from .parity import compare_with_reference, relative_error
from .sdpa_backend import AttentionOfGpus, choose_backend
from .sdpa_profile import ProfiledAttention, profile_attention
from .training_batch import training_batch
from .training_log import read_run, smooth
from .trajectory import (
    TOLERANCES,
    TrajectoryComparison,
    compare_with_trajectory,
    is_trajectory,
)

__all__ = [
    "GPUS",
    "PHASES",
    "TOLERANCES",
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
    "ProfiledAttention",
    "SimulatedGpu",
    "StepCost",
    "TrajectoryComparison",
    "activation_bytes",
    "build_on_meta",
    "choose_backend",
    "compare_with_reference",
    "compare_with_trajectory",
    "compile_for_cost",
    "count_graphs",
    "count_parameters",
    "encoder_stages",
    "fit_memory",
    "forward_cost",
    "fuse",
    "is_dense",
    "is_trajectory",
    "move_to_gpu",
    "multiply_accumulates",
    "profile_attention",
    "read_run",
    "relative_error",
    "saved_for_backward",
    "simulated_gpu",
    "smooth",
    "step_cost",
    "training_batch",
    "training_cost",
    "transfer_cost",
]
