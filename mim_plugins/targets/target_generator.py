"""What target generators return."""

from typing import NamedTuple

from torch import Tensor


class TeacherOutput(NamedTuple):
    """A teacher's view of a batch of images, on the student's token grid."""

    features: Tensor
    """Features (B, L, D), row by row."""
    attention: Tensor | None
    """[CLS] attention (B, L), at least 0, of sum 1; None unless asked for."""
