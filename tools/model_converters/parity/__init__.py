"""Numerical comparison of this package with a reference implementation."""

from .reference_pass import compare_with_reference, relative_error
from .trajectory import (
    TOLERANCES,
    TrajectoryComparison,
    compare_with_trajectory,
    is_trajectory,
)

__all__ = [
    "TOLERANCES",
    "TrajectoryComparison",
    "compare_with_reference",
    "compare_with_trajectory",
    "is_trajectory",
    "relative_error",
]
