"""Blocks of the attention matrix in which the Triton kernels compute."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

_PROGRAMS = 512  # a few per multiprocessor; constant, because it determines sums over images


class Tiling(NamedTuple):
    """Work of a program of a kernel."""

    rows: int
    """Tokens of a strip of the attention matrix."""
    columns: int
    """Tokens of each block of a strip."""
    warps: int
    stages: int
    """Iterations of a loop whose loads overlap."""


@dataclass(frozen=True)
class AttentionBlocks:
    """Work of the kernels "forward", "query", "key" and "bias" for groups of one size.

    The sizes are the largest whose variables fit into registers: tools/dev/compile_kernels.py.
    """

    tokens: int
    """Tokens of a group."""
    channels: int
    """Channels per head."""
    dtype: torch.dtype
    """Type of queries, keys and values."""

    @property
    def is_supported(self) -> bool:
        """True if the kernels compute these groups."""
        supported = self.dtype in (torch.float16, torch.bfloat16, torch.float32)
        return supported and self.tokens <= 256 and self.channels <= 128

    @property
    def size(self) -> int:
        """Tokens rounded up to whole blocks."""
        return -(-self.tokens // 64) * 64 if self.tokens > 64 else _power_of_two(self.tokens)

    @property
    def is_whole(self) -> bool:
        """True if one kernel computes all gradients, because its programs include all tokens."""
        return self.tokens <= (128 if self._is_light else 32)

    @property
    def is_preferred(self) -> bool:
        """True if the kernels are faster than PyTorch's in the cost model.

        In half precision, they are if the backward pass is one kernel with five matrix products,
        not nine. In float32, they always are, because PyTorch's gradient of the bias is larger.
        """
        return self.is_supported and (self.is_whole or self.dtype == torch.float32)

    @property
    def gradient_kernels(self) -> tuple[str, ...]:
        """Kernels of the backward pass; the last one computes the gradient of the bias."""
        return ("key",) if self.is_whole else ("query", "key", "bias")

    def tiling(self, kernel: str) -> Tiling:
        """Return the work of a program."""
        if kernel == "key" and self.is_whole:
            return Tiling(self.size, min(32, self.size), self.size // 16, 1)
        rows = min(64, self.size)
        columns = min(64 if self._is_light else 32, self.size)
        overlaps = kernel in ("forward", "query") and self.size > columns
        return Tiling(rows, columns, rows // 16, 2 if overlaps else 1)

    def strips(self, kernel: str) -> int:
        """Return the programs per attention matrix and chunk of images."""
        tiles = self.tiling(kernel)
        columns = self.size // tiles.columns if kernel == "bias" else 1
        return self.size // tiles.rows * columns

    def chunks(self, kernel: str, images: int, matrices: int) -> int:
        """Return the number of programs that share the images; see :meth:`constants`."""
        return -(-images // self._images_per_program(kernel, images, matrices))

    def constants(self, kernel: str, images: int, matrices: int, heads: int) -> dict[str, Any]:
        """Return the arguments that a kernel is compiled for.

        ``matrices`` is the number of attention matrices per image.
        """
        tiles = self.tiling(kernel)
        fixed = dict(
            per_program=self._images_per_program(kernel, images, matrices),
            heads=heads,
            channels=self.channels,
            blocks=self.size // tiles.columns,
            rows=tiles.rows,
            columns=tiles.columns,
            width=_power_of_two(self.channels),
            size=self.size,
            # three products of shortened numbers are as precise as one of float32
            precision="tf32x3" if self.dtype == torch.float32 else "tf32",
        )
        return fixed | (dict(is_whole=self.is_whole) if kernel == "key" else {})

    @property
    def _is_light(self) -> bool:
        return self.channels <= 32 and self.dtype != torch.float32

    def _images_per_program(self, kernel: str, images: int, matrices: int) -> int:
        """Return a power of two, because a kernel is compiled for each number.

        It is at least two, so a comparison with few images includes the sums over images.
        """
        share = -(-images * matrices * self.strips(kernel) // _PROGRAMS)
        return max(2, _next_power(share))


def _power_of_two(number: int) -> int:
    """Round up to a power of two that matrix units support."""
    return max(16, _next_power(number))


def _next_power(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()
