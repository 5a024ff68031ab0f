"""Convolution block in which masked tokens do not influence visible ones."""

from torch import Tensor, nn
from torchvision.ops import Permute, StochasticDepth

from .transformer import mlp_width


class MaskedConvBlock(nn.Module):
    """Block of MCMAE's convolution stages (arXiv 2205.03892, section 3.1).

    A 5x5 depth-wise convolution between two point-wise ones, followed by an MLP. Only the
    depth-wise convolution mixes tokens. Masked tokens are set to zero before it, so they do not
    influence visible tokens.

    Args:
        dim: channels.
        mlp_ratio: width of the MLP relative to ``dim``.
        drop_path_rate: stochastic depth of both branches.
    """

    def __init__(self, dim: int, mlp_ratio: float = 4.0, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        hidden_dim = mlp_width(dim, mlp_ratio)
        self.to_last, self.to_first = Permute([0, 2, 3, 1]), Permute([0, 3, 1, 2])
        self.norm1 = nn.LayerNorm(dim)
        self.conv1 = nn.Conv2d(dim, dim, 1)
        self.attn = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.conv2 = nn.Conv2d(dim, dim, 1)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential()
        self.mlp.add_module("fc1", nn.Conv2d(dim, hidden_dim, 1))
        self.mlp.add_module("act", nn.GELU())
        self.mlp.add_module("fc2", nn.Conv2d(hidden_dim, dim, 1))
        self.drop_path = StochasticDepth(drop_path_rate, mode="row")

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """Transform maps (B, C, H, W) without changing their shape.

        ``visible`` (B, 1, H, W) is True at visible tokens; None if all tokens are visible.
        """
        y = self.conv1(self.to_first(self.norm1(self.to_last(x))))
        if visible is not None:
            y = y * visible.to(y.dtype)
        x = x + self.drop_path(self.conv2(self.attn(y)))
        return x + self.drop_path(self.mlp(self.to_first(self.norm2(self.to_last(x)))))
