"""The feed-forward network of a Transformer block."""

from torch import nn


def feed_forward(dim: int, hidden_dim: int, drop_rate: float = 0.0) -> nn.Sequential:
    """Two linear maps with GELU between them; the names are those of timm's checkpoints."""
    layers = nn.Sequential()
    layers.add_module("fc1", nn.Linear(dim, hidden_dim))
    layers.add_module("act", nn.GELU())
    layers.add_module("drop1", nn.Dropout(drop_rate))
    layers.add_module("fc2", nn.Linear(hidden_dim, dim))
    layers.add_module("drop2", nn.Dropout(drop_rate))
    return layers
