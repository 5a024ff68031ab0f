"""Data preprocessor that normalizes images and mixes them, on the device."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor

from ..layers import Grouping
from ..registry import MODELS, TRANSFORMS

_FLOAT32 = 4  # bytes


@MODELS.register_module()
class MixDataPreprocessor(ImgDataPreprocessor):
    """Image preprocessor of MMEngine, followed by a batch transform in training.

    Args:
        batch_transform: config or object that maps images (B, C, H, W) to the input of the
            algorithm's loss; :class:`MixImages` for MixMAE.
        mean: one value per channel, for any number of channels, or one for all.
        std: standard deviation, in the same form as ``mean``.
        bgr_to_rgb: reverse the three channels.
        shown_bands: one or three channels that pictures show as gray or as red, green and blue,
            counted from 0, from 2.5 standard deviations below the mean (black) to as much above it
            (white); None shows the first ones as 8-bit colors.
        non_blocking: copy batches in pinned memory to the GPU while the CPU continues.
        **kwargs: further arguments of MMEngine's ``ImgDataPreprocessor``.

    Attributes:
        planner: function that derives from the mask of mixed images what the encoder requires,
            such as :class:`MixedPlanner`; set by the algorithm.
        static_shapes: whether the planned tensors have the same shapes in all batches, as
            ``torch.compile`` requires; set by the algorithm.

    Raises:
        ValueError: ``rgb_to_bgr`` is set although encoders and teachers read RGB, or the lengths of
            ``mean`` and ``std`` differ, or ``shown_bands`` are not one or three channels.
    """

    mean: Tensor
    std: Tensor
    _place: Tensor

    def __init__(
        self,
        batch_transform: dict | Callable | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bgr_to_rgb: bool = False,
        shown_bands: Sequence[int] | None = None,
        non_blocking: bool = True,
        **kwargs: Any,
    ) -> None:
        if kwargs.get("rgb_to_bgr"):
            raise ValueError(
                "MixDataPreprocessor: rgb_to_bgr=True, but encoders and teachers read RGB; use"
                " bgr_to_rgb=True for images loaded as BGR"
            )
        lengths = {len(values) for values in (mean, std) if values is not None}
        if (mean is None) != (std is None) or 0 in lengths or len(lengths - {1}) > 1:
            raise ValueError(
                f"MixDataPreprocessor: mean={mean} and std={std} must both be None, or have one"
                " value per channel or one for all"
            )
        super().__init__(non_blocking=non_blocking, **kwargs)
        self.shown_bands = _checked_bands(shown_bands, max(lengths, default=0))
        self.bgr_to_rgb = bgr_to_rgb
        self.planner: Callable | None = None
        self.static_shapes = False
        # registered here because MMEngine's arguments allow only 1 and 3 channels
        if mean is not None and std is not None:
            self._enable_normalize = True
            for name, values in (("mean", mean), ("std", std)):
                self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)
        else:
            self.register_buffer("_place", torch.zeros(1), persistent=False)
        self.batch_transform: Callable | None = (
            TRANSFORMS.build(batch_transform)
            if isinstance(batch_transform, dict)
            else batch_transform
        )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalize ``data['inputs']`` and, in training, mix it; other entries pass unchanged.

        Raises:
            ValueError: ``bgr_to_rgb`` is set, but the images do not have three channels.
        """
        if self.bgr_to_rgb:
            data = self.cast_data(data)
            images = data["inputs"]
            # MMEngine would index with a list, which is copied to the GPU and makes the CPU wait
            data["inputs"] = (
                _reversed(images) if isinstance(images, Tensor) else [_reversed(x) for x in images]
            )
        data = super().forward(data, training)
        if training:
            data["inputs"] = self.mix(data["inputs"])
        return data

    @property
    def device(self) -> torch.device:
        """Device to which batches are copied.

        It is that of a buffer, because MMEngine's attribute changes only in ``to()`` and ``cuda()``
        of MMEngine's modules, and not if other containers move this one.
        """
        return (self.mean if self._enable_normalize else self._place).device

    def _apply(self, fn: Any, recurse: bool = True) -> "MixDataPreprocessor":
        """Convert with any module that contains this one; mean and std keep float32 or more."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, exact in before.items():
            moved = self._buffers[name]
            if exact is not None and moved is not None and moved.itemsize < _FLOAT32:
                self._buffers[name] = exact.to(moved.device, torch.float32)
        return self

    @torch.compiler.disable  # control flow depends on the values of the mask
    def mix(self, images: Tensor) -> Any:
        """Apply the batch transform to normalized images (B, C, H, W), and plan if possible."""
        if self.batch_transform is None:
            return images
        batch = self.batch_transform(images)
        if self.planner is None:
            return batch
        grouping = None
        if self.static_shapes:
            fixed = getattr(self.batch_transform, "has_fixed_count", False)
            grouping = Grouping.WHOLE_GRID if fixed else Grouping.NONE
        plan = self.planner(batch.mask, images.device, grouping)
        return replace(batch, mask=batch.mask.to(images.device, non_blocking=True), plan=plan)


def _checked_bands(bands: Sequence[int] | None, channels: int) -> tuple[int, ...] | None:
    if bands is None:
        return None
    highest = channels - 1 if channels > 1 else max(bands, default=0)  # one mean may be for all
    if len(bands) not in (1, 3) or not all(
        type(band) is int and 0 <= band <= highest for band in bands
    ):
        raise ValueError(
            f"MixDataPreprocessor: shown_bands={tuple(bands)} must be one or three numbers of"
            f" channels, counted from 0{f' to {highest}' if channels > 1 else ''}"
        )
    return tuple(bands)


def _reversed(images: Tensor) -> Tensor:
    """Reverse the channels of images (..., 3, H, W)."""
    if images.shape[-3] != 3:
        raise ValueError(
            f"MixDataPreprocessor: bgr_to_rgb=True reverses 3 channels, but images have the shape"
            f" {tuple(images.shape)}; set bgr_to_rgb=False"
        )
    return images.flip(-3)
