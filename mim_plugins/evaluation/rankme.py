"""RankMe, a measure of features without labels (arXiv 2210.02885)."""

import math

import torch
from torch import Tensor

from ..sampling import evenly_spaced

_LARGEST = 25_600  # features, as in the paper


def rankme(features: Tensor) -> float:
    """Return the effective rank of features (N, D), from 1 to the smaller of N and D.

    It is the exponential of the entropy of the singular values, divided by their sum (equation 1).
    A low rank means collapsed features. Of more than 25,600 features, evenly spaced ones are used.
    The result is NaN if a feature is not finite.
    """
    if not features.isfinite().all():
        return math.nan
    if len(features) > _LARGEST:
        features = features[evenly_spaced(len(features), _LARGEST)]
    # float64, because squares of small singular values would vanish in the Gram matrix
    rows = features.double()
    gram = rows.T @ rows if rows.shape[0] > rows.shape[1] else rows @ rows.T
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    shares = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    return float(torch.special.entr(shares).sum().exp())
