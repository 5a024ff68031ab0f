"""Weighted k-nearest-neighbor classification of features.

The protocol is that of InstDisc (arXiv 1805.01978, section 3.4) and DINO (arXiv 2104.14294). It
uses cosine similarity, votes weighted by ``exp(similarity / temperature)``, and by default 20
neighbors and temperature 0.07.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .labeled_features import LabeledFeatures

# similarities and votes of one chunk of queries, about 256 MB in float32
_MAX_ELEMENTS = 2**26


class KNNAccuracy(NamedTuple):
    """Percentage of queries whose label gets the most votes, or is among the top five."""

    top1: float
    top5: float


def knn_accuracy(
    references: LabeledFeatures,
    queries: LabeledFeatures,
    ks: Sequence[int] = (20,),
    temperature: float = 0.07,
) -> dict[int, KNNAccuracy]:
    """Classify each query by its nearest references, for several numbers of neighbors at once.

    Queries are compared in chunks, which bounds the memory beyond the arguments. A class without a
    vote is never among the top five.

    Args:
        references: features among which neighbors are searched, on any device.
        queries: features to classify, on the same device.
        ks: numbers of neighbors.
        temperature: scale of the weights; a lower one favors the nearest neighbors.

    Returns:
        Accuracy by k, in ascending order.

    Raises:
        ValueError: see :func:`check_neighbors`, or the shapes of the tensors do not match.
    """
    _check_features(references, queries)
    total, count = len(references.labels), len(queries.labels)
    check_neighbors(ks, total, temperature)
    ks = sorted(set(ks))
    keys = F.normalize(references.features.float(), dim=1).T
    classes = int(max(references.labels.max(), queries.labels.max())) + 1
    hits = {k: torch.zeros(2, dtype=torch.long) for k in ks}
    chunk = max(1, _MAX_ELEMENTS // max(total, classes))
    for start in range(0, count, chunk):
        features, labels = (tensor[start : start + chunk] for tensor in queries)
        similarity, index = (F.normalize(features.float(), dim=1) @ keys).topk(ks[-1])
        # relative to the nearest neighbor, so exp() cannot overflow
        weights = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = references.labels[index]
        for k in ks:
            hits[k] += _count_hits(weights[:, :k], votes[:, :k], labels, classes)
    return {k: KNNAccuracy(*(100.0 * n / count for n in hits[k].tolist())) for k in ks}


def check_neighbors(ks: Sequence[int], references: int, temperature: float) -> None:
    """Check the numbers of neighbors and the temperature.

    Raises:
        ValueError: there is no k, a k is below 1 or above the number of ``references``, or the
            temperature is not above 0.
    """
    if not ks or any(k < 1 or k > references for k in ks):
        raise ValueError(
            f"k-NN: k={tuple(ks)} must be between 1 and the number of reference images, which is"
            f" {references}; choose a smaller k or give more reference images"
        )
    if not temperature > 0:
        raise ValueError(f"k-NN: temperature={temperature} must be above 0; 0.07 is usual")


def _check_features(references: LabeledFeatures, queries: LabeledFeatures) -> None:
    (keys, key_labels), (features, labels) = references, queries
    fits = keys.ndim == features.ndim == 2 and keys.shape[1] == features.shape[1]
    if not fits or not len(keys) or not len(features):
        raise ValueError(
            f"k-NN: references {tuple(keys.shape)} and queries {tuple(features.shape)} must be"
            " (R, D) and (Q, D), with at least one row each"
        )
    if len(key_labels) != len(keys) or len(labels) != len(features):
        raise ValueError(
            f"k-NN: {len(keys)} references have {len(key_labels)} labels and {len(features)}"
            f" queries have {len(labels)}; every feature needs one"
        )


def _count_hits(weights: Tensor, votes: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Count the queries whose label is first, and among the first five."""
    scores = weights.new_zeros(len(labels), classes).scatter_add_(1, votes, weights)
    best, predicted = scores.topk(min(5, classes))
    right = (predicted == labels[:, None]) & (best > 0)
    return torch.stack([right[:, 0].sum(), right.any(dim=1).sum()]).cpu()
