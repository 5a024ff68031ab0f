"""Output of the plain encoders in pre-training."""

from typing import NamedTuple

from torch import Tensor


class EncodedTokens(NamedTuple):
    """Output of an encoder for the visible tokens."""

    tokens: Tensor
    """Visible tokens (B, V, D) after the last LayerNorm, in the order of ``ids_keep``."""
    prefix_tokens: Tensor | None
    """[CLS] token (B, 1, D) after the last LayerNorm; None for encoders without."""
    intermediates: tuple[Tensor, ...]
    """Visible tokens (B, V, D) after each of the requested Transformer blocks."""
