"""Tokens sorted by attention group, for attention on dense blocks.

Letters: B images, M masks (1 when the batch shares one, else B), nW windows per image, N tokens per
window, L = nW * N tokens of an image, G groups per window, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .transformer import attend


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
        return _Permutation.apply(x.flatten(1, 2), self.order, self.inverse)

    def restore(self, x: Tensor) -> Tensor:
        """Move sorted tokens (B, L, C) back to their windows (B, nW, N, C)."""
        x = _Permutation.apply(x, self.inverse, self.order)
        return x.unflatten(1, (-1, self.window_tokens))

    def split(self, x: Tensor) -> list[Tensor]:
        """Split sorted tokens (B, L, ...) into ``blocks``: (B, groups, tokens per group, ...)."""
        lengths = [count * size for count, size in self.blocks]
        parts = x.split(lengths, dim=1)
        return [part.unflatten(1, block) for part, block in zip(parts, self.blocks, strict=True)]

    def positions(self) -> list[Tensor]:
        """Return the position of each token in its window, by block: (M, groups, tokens)."""
        return self.split(self.order.remainder(self.window_tokens))


class _Permutation(torch.autograd.Function):
    """Permutation of tokens whose gradient is the inverse permutation.

    PyTorch's gradient of a selection adds to zeros, which takes ten times as long on the CPU and is
    not deterministic on GPUs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(order, inverse)
        return _take(x, order)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        order, inverse = ctx.saved_tensors
        return _Permutation.apply(grad, inverse, order), None, None


def _take(x: Tensor, order: Tensor) -> Tensor:
    """Select tokens (B, L, C) in the order (M, L)."""
    if len(order) == 1:
        return x.index_select(1, order[0])
    batch, tokens = order.shape
    first = torch.arange(0, batch * tokens, tokens, device=order.device)
    return x.flatten(0, 1).index_select(0, (order + first[:, None]).flatten()).view_as(x)


def attend_with_pytorch(
    qkv: Tensor,
    biases: Sequence[Tensor],
    counts: Sequence[int],
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute ``attend_in_groups`` by PyTorch's kernels, or by :func:`attend`'s on the CPU.

    ``qkv`` of H heads with d channels is (B, L, 3, H, d). Each block of ``counts`` groups has a
    bias (M, K or 1, H, n, n), and a single block may have a mask (M, K, n, n). Return attended
    values (B, L, H, d).
    """
    sizes = [bias.shape[-1] for bias in biases]
    lengths = [count * size for count, size in zip(counts, sizes, strict=True)]
    parts = []
    for part, bias, count in zip(qkv.split(lengths, dim=1), biases, counts, strict=True):
        if attn_mask is not None:
            bias = bias + attn_mask[:, :, None]
        parts.append(_attend(part.unflatten(1, (count, bias.shape[-1])), bias, dropout_p))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _attend(qkv: Tensor, bias: Tensor, dropout_p: float) -> Tensor:
    """Attend in K groups of tokens (B, K, n, 3, H, d); return (B, K * n, H, d)."""
    batch, groups, tokens, _, heads, channels = qkv.shape
    # groups and heads share an axis, so one bias serves all images without a copy
    qkv = qkv.permute(3, 0, 1, 4, 2, 5).reshape(3, batch, -1, tokens, channels)
    bias = bias.expand(-1, groups, -1, -1, -1).flatten(1, 2).to(qkv.dtype)
    x = attend(qkv, bias, dropout_p)
    return x.unflatten(1, (groups, heads)).transpose(2, 3).flatten(1, 2)
