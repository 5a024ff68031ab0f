"""Down-sampling between the stages of a hierarchical Transformer."""

import torch.nn.functional as F
from torch import Tensor, nn


class PatchMerging(nn.Module):
    """Concatenate each 2x2 block of tokens and project it (Swin, arXiv 2103.14030, section 3.1).

    The order of the four tokens is timm's: top left, bottom left, top right, bottom right.

    Args:
        in_dim: channels of the input.
        out_dim: channels of the output.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * in_dim)
        self.reduction = nn.Linear(4 * in_dim, out_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, H, W, C) to (B, ceil(H / 2), ceil(W / 2), out_dim); odd sides are padded."""
        batch, height, width, channels = x.shape
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = x.reshape(batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels)
        return self.reduction(self.norm(x.permute(0, 1, 3, 4, 2, 5).flatten(3)))
