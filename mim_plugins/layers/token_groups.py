"""Tokens sorted by attention group, for attention on dense blocks.

Letters: B images, M masks (1 when the batch shares one, else B), nW windows per image, N tokens per
window, L = nW * N tokens of an image, G groups per window, C channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenGroups:
    """Order of the tokens of an image in which each attention group is one dense block.

    Attention inside the blocks equals masked attention over the windows, at a fraction of the cost:
    half where two images of equal share are mixed (MixMAE, arXiv 2205.13137).
    """

    order: Tensor
    """Index of each sorted token in the concatenated windows (M, L)."""
    inverse: Tensor
    """Index of each token of the concatenated windows among the sorted ones (M, L)."""
    window_tokens: int
    """Tokens per window N."""
    blocks: tuple[tuple[int, int], ...]
    """(number of groups, tokens per group) for each group size, in sorted order."""

    @classmethod
    def from_group_ids(
        cls, group_ids: Tensor, device: torch.device, ragged: bool
    ) -> "TokenGroups | None":
        """Sort tokens by their group ids (M, nW, N), on the CPU; keep the order on ``device``.

        Return None if the masks of the batch have groups of different sizes. Unless ``ragged``,
        also return None if the size of a group differs between windows, which happens when the
        windows are not aligned with the cells of the mask.
        """
        windows, tokens = group_ids.shape[1:]
        kinds = group_ids - group_ids.min()
        counts = torch.nn.functional.one_hot(kinds).sum(dim=2)  # (M, nW, G)
        if not ragged and (counts != counts[:1, :1]).any():
            return None
        sizes = counts.flatten(1).sort(dim=1).values
        if (sizes != sizes[0]).any():
            return None
        total = counts[0].numel()
        groups = kinds + counts.shape[2] * torch.arange(windows)[:, None]  # unique per window
        keys = counts.gather(2, kinds) * total + groups
        order = keys.flatten(1).argsort(dim=1, stable=True)
        orders = torch.stack([order, order.argsort(dim=1)]).to(device, non_blocking=True)
        found, repeats = sizes[0][sizes[0] > 0].unique(return_counts=True)
        blocks = tuple(zip(repeats.tolist(), found.tolist(), strict=True))
        return cls(orders[0], orders[1], tokens, blocks)

    def sort(self, x: Tensor) -> Tensor:
        """Sort the tokens of windows (B, nW, N, C) by group: (B, L, C)."""
        return _take(x.flatten(1, 2), self.order)

    def restore(self, x: Tensor) -> Tensor:
        """Move sorted tokens (B, L, C) back to their windows (B, nW, N, C)."""
        return _take(x, self.inverse).unflatten(1, (-1, self.window_tokens))

    def split(self, x: Tensor) -> list[Tensor]:
        """Split sorted tokens (B, L, ...) into ``blocks``: (B, groups, tokens per group, ...)."""
        lengths = [count * size for count, size in self.blocks]
        parts = x.split(lengths, dim=1)
        return [part.unflatten(1, block) for part, block in zip(parts, self.blocks, strict=True)]

    def positions(self) -> list[Tensor]:
        """Return the position of each token in its window, by block: (M, groups, tokens)."""
        return self.split(self.order.remainder(self.window_tokens))


def _take(x: Tensor, order: Tensor) -> Tensor:
    """Gather tokens (B, L, C) in the order (M, L)."""
    return x.gather(1, order[..., None].expand(len(x), -1, x.shape[-1]))
