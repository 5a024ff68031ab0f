"""Tokens sorted by the group in which they attend to each other.

Letters: B images, M masks (1 when the batch shares one, else B), nW windows per image, N tokens per
window, L = nW * N tokens of an image, C channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenGroups:
    """An order of an image's tokens in which each attention group is one dense block.

    Attention inside the blocks is what attention over the windows with a mask would be, with a
    part of its work: half where two images of equal share are mixed (MixMAE, arXiv 2205.13137).
    """

    order: Tensor
    """For each sorted token its place among those of all windows, one after another (M, L)."""
    window_tokens: int
    """N."""
    blocks: tuple[tuple[int, int], ...]
    """Groups of equal size follow each other: (how many, tokens of each) per size."""

    @classmethod
    @torch.compiler.disable  # what depends on the mask's values cannot be traced
    def of(cls, numbers: Tensor, device: torch.device, ragged: bool) -> "TokenGroups | None":
        """Order for tokens with these group numbers (M, nW, N), on the CPU.

        None if the masks' groups differ in size. Unless ``ragged``, also if a group has not the
        same size in all windows, as when windows do not cover the mask's cells.
        """
        windows, tokens = numbers.shape[1:]
        kinds = numbers - numbers.min()
        counts = torch.nn.functional.one_hot(kinds).sum(dim=2)  # (M, nW, G)
        if not ragged and (counts != counts[:1, :1]).any():
            return None
        sizes = counts.flatten(1).sort(dim=1).values
        if (sizes != sizes[0]).any():
            return None
        total = counts[0].numel()
        groups = kinds + counts.shape[2] * torch.arange(windows)[:, None]  # of all windows
        keys = counts.gather(2, kinds) * total + groups
        order = keys.flatten(1).argsort(dim=1, stable=True)
        found, repeats = sizes[0][sizes[0] > 0].unique(return_counts=True)
        blocks = tuple(zip(repeats.tolist(), found.tolist(), strict=True))
        return cls(order.to(device, non_blocking=True), tokens, blocks)

    def sort(self, x: Tensor) -> Tensor:
        """Tokens of windows (B, nW, N, C) in this order: (B, L, C)."""
        return _take(x.flatten(1, 2), self.order)

    def restore(self, x: Tensor) -> Tensor:
        """Sorted tokens (B, L, C) back in their windows (B, nW, N, C)."""
        return _take(x, self.order.argsort(dim=1)).unflatten(1, (-1, self.window_tokens))

    def split(self, x: Tensor) -> list[Tensor]:
        """Sorted tokens (B, L, ...) of each of the ``blocks``: (B, groups, tokens of each, ...)."""
        lengths = [count * size for count, size in self.blocks]
        parts = x.split(lengths, dim=1)
        return [part.unflatten(1, block) for part, block in zip(parts, self.blocks, strict=True)]

    def places(self) -> list[Tensor]:
        """For each of the ``blocks`` its tokens' places in their windows (M, groups, tokens)."""
        return self.split(self.order.remainder(self.window_tokens))


def prefer_ragged(device: torch.device) -> bool:
    """Whether many blocks, of sizes that change with the mask, beat masked attention in windows.

    Not where each block has to be launched, or compiled.
    """
    return device.type == "cpu" and not torch.compiler.is_compiling()


def _take(x: Tensor, order: Tensor) -> Tensor:
    """Tokens (B, L, C) in this order (M, L)."""
    return x.gather(1, order[..., None].expand(len(x), -1, x.shape[-1]))
