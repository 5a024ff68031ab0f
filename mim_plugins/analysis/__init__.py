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

__all__ = [
    "StepCost",
    "activation_bytes",
    "compare_with_reference",
    "count_parameters",
    "encoder_stages",
    "forward_cost",
    "multiply_accumulates",
    "read_run",
    "relative_error",
    "saved_for_backward",
    "smooth",
    "step_cost",
    "transfer_cost",
]
