"""Evidence of a position embedding for the grid of its tokens."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_ANCHORS = 512  # tokens that are compared with all others
_LEAST_SHARE = 0.005  # of the variance of the cosines
_CLEAR_SHARE = 0.02
_LEAST_COSINE = 0.02
_SIGNIFICANT = 5.0  # standard deviations of either difference for random rows

Reading = tuple[bool, tuple[int, int]]
"""Whether the first row is not that of a token of the grid, and the grid (H, W)."""


class GridEvidence:
    """Comparison of readings of a position embedding.

    There are two measures. The similarity of two tokens depends on their distances in rows and
    columns. A wrong grid assigns pairs of different true distances to the same distance, so
    distances explain less of the variance of the similarities. This holds however weakly rows or
    columns vary, but not for smooth embeddings of low rank, whose similarities also depend on the
    place. In these, vertical neighbors are more similar in the true grid. That fails if rows vary
    much more than columns.

    Args:
        rows: embedding (L, D), one row per token.
    """

    def __init__(self, rows: Tensor) -> None:
        self._width = rows.shape[1]
        self._tokens = {
            skipped: F.normalize(part - part.mean(dim=0), dim=1)
            for skipped in (True, False)
            for part in [rows[int(skipped) :].double()]
        }
        self._fits: dict[Reading, float] = {}

    def supports(self, one: Reading, other: Reading) -> bool:
        """Return whether a measure supports one reading more than another, and none the other."""
        is_opposed = self._fits_better(other, one) or self._is_smoother(other, one)
        return not is_opposed and (self._fits_better(one, other) or self._is_smoother(one, other))

    def proves(self, one: Reading, other: Reading) -> bool:
        """Return whether both measures clearly support one reading more than another."""
        return self._fits_better(one, other, _CLEAR_SHARE) and self._is_smoother(one, other)

    def fit(self, skipped: bool, grid: tuple[int, int]) -> float:
        """Return the share of the variance of cosines that distances in rows and columns explain.

        Args:
            skipped: the first row is not that of a token of the grid.
            grid: (H, W).
        """
        if (skipped, grid) not in self._fits:
            self._fits[skipped, grid] = _explained_share(self._tokens[skipped], grid[1])
        return self._fits[skipped, grid]

    def _fits_better(self, one: Reading, other: Reading, least: float = _LEAST_SHARE) -> bool:
        tokens = max(math.prod(one[1]), 2)
        # the shares of n distances in the variance of n^2 / 2 random cosines
        deviation = 2 * math.sqrt(tokens) / (tokens**2 / 2)
        return self.fit(*one) - self.fit(*other) > max(least, _SIGNIFICANT * deviation)

    def _is_smoother(self, one: Reading, other: Reading) -> bool:
        pairs = [max((height - 1) * width, 1) for _, (height, width) in (one, other)]
        deviation = math.sqrt(sum(1 / count for count in pairs) / max(self._width, 1))
        margin = max(_LEAST_COSINE, _SIGNIFICANT * deviation)
        return self._smoothness(*one) - self._smoothness(*other) > margin

    def _smoothness(self, skipped: bool, grid: Sequence[int]) -> float:
        """Return the mean cosine of vertical neighbors."""
        tokens, width = self._tokens[skipped], grid[1]
        if grid[0] < 2:
            return 0.0
        return float((tokens[:-width] * tokens[width:]).sum(dim=1).mean())


def _explained_share(tokens: Tensor, width: int) -> float:
    count = len(tokens)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    anchors = order[:_ANCHORS].sort().values
    positions = torch.arange(count)
    rows, columns = positions // width, positions % width
    between = (rows[anchors, None] - rows).abs() * width + (columns[anchors, None] - columns).abs()
    is_pair = anchors[:, None] != positions
    distances, cosines = between[is_pair], (tokens[anchors] @ tokens.T)[is_pair]
    if not len(cosines):
        return 0.0
    pairs = torch.bincount(distances, minlength=count)
    means = torch.bincount(distances, cosines, count) / pairs.clamp(min=1)
    total = (cosines - cosines.mean()).square().sum()
    explained = (pairs * (means - cosines.mean()).square()).sum()
    return float(explained / total) if total > 0 else 0.0
