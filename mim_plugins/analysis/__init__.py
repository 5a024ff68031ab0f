from .activation_memory import activation_bytes, saved_for_backward
from .complexity import (
    StepCost,
    count_parameters,
    encoder_stages,
    forward_cost,
    multiply_accumulates,
    step_cost,
    transfer_cost,
)
from .parity import compare_with_reference, relative_error
from .training_log import read_run, smooth
from .trajectory import (
    TOLERANCES,
    TrajectoryComparison,
    compare_with_trajectory,
    is_trajectory,
)

__all__ = [
    "TOLERANCES",
    "StepCost",
    "TrajectoryComparison",
    "activation_bytes",
    "compare_with_reference",
    "compare_with_trajectory",
    "count_parameters",
    "encoder_stages",
    "forward_cost",
    "is_trajectory",
    "multiply_accumulates",
    "read_run",
    "relative_error",
    "saved_for_backward",
    "smooth",
    "step_cost",
    "transfer_cost",
]
