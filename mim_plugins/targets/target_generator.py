"""Frozen networks that turn images into regression targets."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tower import Tower

_DTYPES = dict(float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16)


class TeacherOutput(NamedTuple):
    """Teacher features of images on the student's grid of L = h * w tokens in row-major order.

    Attributes:
        features: (B, L, D), float32.
        attention: (B, L), float32: attention of the [CLS] token in the last block that the features
            need, averaged over heads, without [CLS] and register columns, with sum 1 over L; None
            if not requested.
    """

    features: Tensor
    attention: Tensor | None


class TargetGenerator(nn.Module):
    """Frozen teacher, as in MR-MAE (arXiv 2303.05475) and other feature-mimicking methods.

    The tower of the teacher stays outside the module tree. It is absent from ``parameters()``,
    ``state_dict()``, optimizers, checkpoints and DDP broadcasts; ``init_weights()`` does not reach
    it and ``train()`` leaves it in evaluation mode. It follows ``.to()``, ``.cuda()``, ``.half()``
    and ``deepcopy``, and moves to the device of the images if a training strategy left it behind.

    Args:
        tower: teacher without its input normalization.
        mean, std: normalization constants of the teacher for RGB in [0, 1].
        normalize: normalize every feature vector to mean 0 and variance 1 over D.
        dtype: precision of the tower's autocast, ``'float32'``, ``'bfloat16'`` or ``'float16'``,
            independent of the student's; None follows the student. On a CPU, ``'float16'`` runs
            in float32.

    Example:
        >>> import torch
        >>> from mim_plugins.targets import TargetGenerator, Tower
        >>> class MeanColor(Tower):
        ...     patch_size, grid, out_channels, has_cls_attention = 8, (4, 4), 3, False
        ...
        ...     def forward(self, images, with_attention):
        ...         colors = torch.nn.functional.avg_pool2d(images, 8)
        ...         return colors.flatten(2).transpose(1, 2), None
        >>> teacher = TargetGenerator(MeanColor(), mean=(0.5,) * 3, std=(0.2,) * 3)
        >>> teacher(torch.rand(2, 3, 64, 64), grid=(4, 4)).features.shape
        torch.Size([2, 16, 3])
        >>> list(teacher.parameters())
        []

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
        # in a dict, which nn.Module does not register; the towers of all grids share their weights
        self._towers = {tower.grid: tower.requires_grad_(False).eval()}
        self._constants = torch.tensor([self.mean, self.std]).view(2, 1, 3, 1, 1)
        self._compile: tuple[tuple, dict] | None = None

    @torch.no_grad()
    def forward(
        self, pixels: Tensor, grid: tuple[int, int], with_attention: bool = False
    ) -> TeacherOutput:
        """Return features, and [CLS] attention if requested, on a ``grid`` (h, w) of tokens.

        Args:
            pixels: (B, 3, H, W), RGB in [0, 1]; resized (bicubic, antialiased) to
                (h * patch_size, w * patch_size) if the size differs.
            grid: token grid of the student.
            with_attention: compute attention, too.

        Raises:
            ValueError: ``pixels`` are not RGB floats, or the teacher has no [CLS] attention.
        """
        if with_attention and not self.has_cls_attention:
            raise ValueError(
                "with_attention=True: the attention of this teacher's [CLS] token cannot be read;"
                " use a teacher such as CLIP ViT-B-16 or DINO, or random masking"
            )
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
            raise ValueError(
                f"pixels: expected RGB floats (B, 3, H, W) in [0, 1], got {pixels.dtype} of shape"
                f" {tuple(pixels.shape)}"
            )
        tower = self.tower_for((int(grid[0]), int(grid[1])), pixels.device)
        images = self.preprocess(pixels, tower)
        with self._precision(pixels.device):
            features, attention = tower(images, with_attention)
        features = features.float()
        if self.normalize:
            features = F.layer_norm(features, features.shape[-1:])
        return TeacherOutput(features, attention)

    def preprocess(self, pixels: Tensor, tower: Tower) -> Tensor:
        """Resize pixels to the tower's grid and normalize them in float32."""
        pixels = pixels.float()
        size = (tower.grid[0] * tower.patch_size, tower.grid[1] * tower.patch_size)
        if pixels.shape[2:] != size:
            pixels = F.interpolate(
                pixels, size, mode="bicubic", align_corners=False, antialias=True
            ).clamp(0, 1)  # bicubic overshoots at edges; libraries resize 8-bit images, which clamp
        mean, std = self._constants
        # the tower of hand-made features may have no parameters, or no tensors at all
        tensors = chain(tower.parameters(), tower.buffers())
        dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
        return ((pixels - mean) / std).to(dtype)

    def tower_for(self, grid: tuple[int, int], device: torch.device) -> Tower:
        """Return the tower for ``grid``; position embeddings are resized once per grid."""
        native = self._towers[self._native_grid]
        if self._constants.device != device:
            self.to(device)
        if grid not in self._towers:
            # modules are copied, parameters shared: resizing starts from the native embedding
            shared: Any = {id(parameter): parameter for parameter in native.parameters()}
            tower = copy.deepcopy(native, shared)
            tower.resize(grid)
            self._towers[grid] = tower.requires_grad_(False).eval()
            self._compile_tower(tower)
        return self._towers[grid]

    def compile_blocks(self, *args: Any, **kwargs: Any) -> None:
        """Compile each block of the tower by ``torch.compile`` with these arguments."""
        self._compile = (args, kwargs)
        for tower in self._towers.values():
            self._compile_tower(tower)

    def _compile_tower(self, tower: Tower) -> None:
        if self._compile is not None:
            args, kwargs = self._compile
            for block in tower.blocks():
                block.compile(*args, **kwargs)

    def _precision(self, device: torch.device) -> Any:
        """Return the autocast context of the tower."""
        if self.dtype is None:
            return nullcontext()
        dtype = _DTYPES[self.dtype]
        if dtype == torch.float32 or (dtype == torch.float16 and device.type == "cpu"):
            return torch.autocast(device.type, enabled=False)
        return torch.autocast(device.type, dtype=dtype)

    def _apply(self, fn: Any, recurse: bool = True) -> "TargetGenerator":
        """Apply ``.to()``, ``.cuda()`` and ``.half()`` to the towers outside the module tree."""
        super()._apply(fn, recurse)
        for tower in self._towers.values():
            tower._apply(fn)
        # the constants move, but stay float32
        self._constants = self._constants.to(fn(self._constants).device)
        return self
