"""Features of a data set with their labels."""

from typing import NamedTuple

import torch
from torch import Tensor


class LabeledFeatures(NamedTuple):
    """Features of a data set and their labels, in the data set's order."""

    features: Tensor
    """(N, D), float32."""
    labels: Tensor
    """(N,), whole numbers from 0."""

    def to(self, device: torch.device | str) -> "LabeledFeatures":
        """The same on ``device``."""
        return LabeledFeatures(self.features.to(device), self.labels.to(device))
