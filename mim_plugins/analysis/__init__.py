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
from .meta_model import build_on_meta
from .training_log import read_run, smooth

__all__ = [
    "StepCost",
    "activation_bytes",
    "build_on_meta",
    "count_parameters",
    "encoder_stages",
    "forward_cost",
    "multiply_accumulates",
    "read_run",
    "saved_for_backward",
    "smooth",
    "step_cost",
    "transfer_cost",
]
