"""Frozen networks that turn images into regression targets."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tower import Tower

_DTYPES = dict(float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16)


class TeacherOutput(NamedTuple):
    """What a teacher says about images, on the student's grid of L = h * w tokens, row by row.

    Attributes:
        features: (B, L, D), float32.
        attention: (B, L), float32: attention of the [CLS] token in the last block that is run,
            averaged over heads, without [CLS] and register columns and summing to 1 over L; None
            unless asked for.
    """

    features: Tensor
    attention: Tensor | None


class TargetGenerator(nn.Module):
    """A frozen teacher, as in MR-MAE (arXiv 2303.05475) and other feature-mimicking methods.

    The teacher's tower is kept outside the module tree: it is in no ``parameters()``,
    ``state_dict()``, optimizer, checkpoint or DDP broadcast, ``init_weights()`` does not reach it
    and ``train()`` leaves it in eval mode. It still follows ``.to()``, ``.cuda()``, ``.half()``
    and ``deepcopy``, and moves to the images where a training strategy did not move it.

    Args:
        tower: the teacher without its normalization.
        mean, std: the teacher's own normalization constants of RGB in [0, 1].
        normalize: normalize every feature vector to mean 0 and variance 1 over D.
        dtype: ``'float32'``, ``'bfloat16'`` or ``'float16'`` to run the tower under autocast of
            this precision, whatever the student's; None to follow the student's. On CPU,
            ``'float16'`` is run in float32.

    Raises:
        ValueError: an unknown ``dtype``.
    """

    def __init__(
        self,
        tower: Tower,
        mean: Sequence[float],
        std: Sequence[float],
        normalize: bool = False,
        dtype: str | None = None,
    ) -> None:
        super().__init__()
        if dtype is not None and dtype not in _DTYPES:
            raise ValueError(f"dtype={dtype!r}: use None or one of {', '.join(_DTYPES)}")
        self.mean, self.std = tuple(mean), tuple(std)
        self.normalize = normalize
        self.dtype = dtype
        self.out_channels = tower.out_channels
        self.patch_size = tower.patch_size
        self.has_cls_attention = tower.has_cls_attention
        self._native_grid = tower.grid
        # plain attributes, which nn.Module does not register; one tower per grid, weights shared
        self._towers = {tower.grid: tower.requires_grad_(False).eval()}
        self._constants = torch.tensor([self.mean, self.std]).view(2, 1, 3, 1, 1)

    @torch.no_grad()
    def forward(
        self, pixels: Tensor, grid: tuple[int, int], with_attention: bool = False
    ) -> TeacherOutput:
        """Features, and [CLS] attention if asked for, on a ``grid`` (h, w) of tokens.

        Args:
            pixels: (B, 3, H, W), RGB in [0, 1]; resized (bicubic, antialiased) to
                (h * patch, w * patch) only if the size differs.
            grid: the student's token grid.
            with_attention: also compute attention.

        Raises:
            ValueError: ``pixels`` are no RGB floats, or the teacher has no [CLS] attention.
        """
        if with_attention and not self.has_cls_attention:
            raise ValueError(
                "with_attention=True: this teacher has no [CLS] token whose attention can be"
                " read; use one that has, such as CLIP ViT-B-16 or DINO, or random masking"
            )
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
            raise ValueError(
                f"pixels: expected RGB floats (B, 3, H, W) in [0, 1], got {pixels.dtype} of shape"
                f" {tuple(pixels.shape)}"
            )
        tower = self._tower_for((int(grid[0]), int(grid[1])), pixels.device)
        images = self._preprocess(pixels, tower)
        with self._precision(pixels.device):
            features, attention = tower(images, with_attention)
        features = features.float()
        if self.normalize:
            features = F.layer_norm(features, features.shape[-1:])
        return TeacherOutput(features, attention)

    def _preprocess(self, pixels: Tensor, tower: Tower) -> Tensor:
        """Resize to the tower's grid and normalize with its constants, in float32."""
        pixels = pixels.float()
        size = (tower.grid[0] * tower.patch_size, tower.grid[1] * tower.patch_size)
        if pixels.shape[2:] != size:
            pixels = F.interpolate(
                pixels, size, mode="bicubic", align_corners=False, antialias=True
            ).clamp(0, 1)  # bicubic overshoots at edges; libraries resize 8-bit images, which clamp
        mean, std = self._constants
        return ((pixels - mean) / std).to(next(tower.parameters()).dtype)

    def _tower_for(self, grid: tuple[int, int], device: torch.device) -> Tower:
        """The tower for ``grid``: position embeddings are resized once per grid, not per step."""
        native = self._towers[self._native_grid]
        if self._constants.device != device:
            self.to(device)
        if grid not in self._towers:
            # modules are copied, parameters shared: resizing starts from the native embedding
            shared: Any = {id(parameter): parameter for parameter in native.parameters()}
            tower = copy.deepcopy(native, shared)
            tower.resize(grid)
            self._towers[grid] = tower.requires_grad_(False).eval()
        return self._towers[grid]

    def _precision(self, device: torch.device) -> Any:
        """Autocast context of the tower."""
        if self.dtype is None:
            return nullcontext()
        dtype = _DTYPES[self.dtype]
        if dtype == torch.float32 or (dtype == torch.float16 and device.type == "cpu"):
            return torch.autocast(device.type, enabled=False)
        return torch.autocast(device.type, dtype=dtype)

    def _apply(self, fn: Any, recurse: bool = True) -> "TargetGenerator":
        """Let ``.to()``, ``.cuda()`` and ``.half()`` reach the hidden towers."""
        super()._apply(fn, recurse)
        for tower in self._towers.values():
            tower._apply(fn)
        # the constants move, but stay float32
        self._constants = self._constants.to(
            next(self._towers[self._native_grid].parameters()).device
        )
        return self
