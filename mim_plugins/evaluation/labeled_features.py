"""Features of a data set with their labels."""

from typing import NamedTuple

import torch
from torch import Tensor


class LabeledFeatures(NamedTuple):
    """Features and labels of a data set, in its order."""

    features: Tensor
    """(N, D), float32."""
    labels: Tensor
    """(N,), integers from 0."""

    def to(self, device: torch.device | str) -> "LabeledFeatures":
        """Return a copy on ``device``."""
        return LabeledFeatures(self.features.to(device), self.labels.to(device))
