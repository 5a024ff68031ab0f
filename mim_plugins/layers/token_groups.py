"""Tokens of a window sorted by the group in which they attend to each other.

Letters: B images, M masks (1 when the batch shares one, else B), nW windows per image, N tokens per
window, C channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenGroups:
    """An order of a window's tokens in which each attention group is one dense block.

    Attention inside the blocks is what attention over the window with a mask would be, with a part
    of its work: half where two images of equal share are mixed (MixMAE, arXiv 2205.13137).
    """

    order: Tensor
    """For each sorted token its place in the window (M, nW, N)."""
    sizes: tuple[int, ...]
    """Tokens of each group; they are the same in all windows and masks."""

    @classmethod
    def of(cls, numbers: Tensor, device: torch.device) -> "TokenGroups | None":
        """Order for tokens with these group numbers (M, nW, N), on the CPU.

        None if a group has not the same size in all windows of all masks, as when windows do not
        cover the grid: then there are no dense blocks.
        """
        counts = torch.nn.functional.one_hot(numbers - numbers.min()).sum(dim=2).flatten(0, 1)
        if (counts != counts[0]).any():
            return None
        sizes = tuple(int(size) for size in counts[0] if size)
        return cls(numbers.argsort(dim=2, stable=True).to(device, non_blocking=True), sizes)

    def sort(self, x: Tensor) -> Tensor:
        """Tokens of windows (B, nW, N, C) in this order."""
        return x.gather(2, self.order[..., None].expand(len(x), -1, -1, x.shape[-1]))

    def restore(self, x: Tensor) -> Tensor:
        """Sorted tokens (B, nW, N, C) back at their places."""
        places = self.order.argsort(dim=2)
        return x.gather(2, places[..., None].expand(len(x), -1, -1, x.shape[-1]))
