"""Images of any kind through the transforms of a config."""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.registry import TRANSFORMS, DefaultScope
from torch import Tensor

from ..errors import ConfigError, CorruptImageError
from ..transforms import LoadImage, ResizeEdge
from ..transforms.resize_edge import resized_size
from .pixels import Images, each_image

_MAX_RESIZED = 1 << 28
"""Pixels that an image may have after resizing."""


class ImagePipeline:
    """The transforms of a test pipeline, for images that are given directly.

    The loading transform is replaced by :func:`to_pixels`, so that an image gives the same whether
    it comes as a file, a PIL image or an array; transforms that load annotations are left out; and
    a ``ResizeEdge`` whose result is cropped in its center resizes only the middle of very long
    images.

    Args:
        transforms: configs or objects, of which the first loads an image and the last packs it.
        scope: of the configs' types.
        name: of the pipeline in messages.

    Raises:
        ConfigError: the transforms cannot be built, or not be followed without a data set; or, when
            called, one of them fails.
    """

    def __init__(
        self,
        transforms: Sequence[dict | Callable],
        scope: str = "mmpretrain",
        name: str = "the test pipeline",
    ) -> None:
        self.name = name
        self.scope = scope
        steps = [self._build(transform) for transform in transforms]
        if not steps or not _loads_image(steps[0]):
            first = type(steps[0]).__name__ if steps else "nothing"
            raise ConfigError(
                f"{name} begins with {first} in place of LoadImageFromFile or LoadImage, so it is"
                " unknown what it reads"
            )
        self._as_loaded = _LoadedAs(steps[0], name)
        self._steps = _bounded([step for step in steps[1:] if not _loads_annotations(step)])

    def __call__(self, images: Images) -> list[dict]:
        """Give each image's ``inputs`` (C, H, W), and its ``data_samples`` if it is packed so.

        Raises:
            FileNotFoundError: there is no such file.
            CorruptImageError: a file that cannot be read, or an image that would become too large.
            ValueError: no image.
        """
        with DefaultScope.overwrite_default_scope(self.scope):
            return [self._prepare(pixels, index) for index, pixels in enumerate(each_image(images))]

    def _build(self, transform: dict | Callable) -> Callable:
        if callable(transform):
            return transform
        try:
            with DefaultScope.overwrite_default_scope(self.scope):
                return TRANSFORMS.build(copy.deepcopy(transform))
        except Exception as error:  # their constructors raise what they like
            raise ConfigError(
                f"{self.name}: {transform.get('type')} cannot be built: {error}"
            ) from error

    def _prepare(self, pixels: np.ndarray, index: int) -> dict:
        image = self._as_loaded(pixels)
        shape = image.shape[:2]
        results: Any = dict(
            img=image, img_shape=shape, ori_shape=shape, img_path="", sample_idx=index, img_id=index
        )
        for step in self._steps:
            _check_size(step, results, index)
            try:
                results = step(results)
            except Exception as error:
                raise ConfigError(
                    f"{self.name}: {type(step).__name__} fails for images[{index}] of"
                    f" {shape[1]}x{shape[0]} pixels: {type(error).__name__}: {error}"
                ) from error
        inputs = results.get("inputs") if isinstance(results, dict) else None
        if not isinstance(inputs, Tensor) or inputs.ndim != 3:
            raise ConfigError(
                f"{self.name} ends without one image per file in 'inputs' (C, H, W); end it with"
                " PackInputs"
            )
        return results


class _LoadedAs:
    """From BGR bytes to what a loading transform makes of a file."""

    def __init__(self, loader: Any, name: str) -> None:
        self.color_type = getattr(loader, "color_type", "color")
        self.to_float32 = getattr(loader, "to_float32", False)
        backend = getattr(loader, "imdecode_backend", "cv2")
        if self.color_type not in ("color", "grayscale") or backend == "tifffile":
            raise ConfigError(
                f"{name}: {type(loader).__name__} with color_type={self.color_type!r} and"
                f" imdecode_backend={backend!r} cannot be followed; color_type may be 'color' or"
                " 'grayscale', and imdecode_backend not 'tifffile'"
            )

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        if self.color_type == "grayscale":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
        return pixels.astype(np.float32) if self.to_float32 else pixels


def _loads_image(step: Any) -> bool:
    from mmcv.transforms import LoadImageFromFile

    return isinstance(step, (LoadImage, LoadImageFromFile))


def _loads_annotations(step: Any) -> bool:
    name = type(step).__name__
    return name.startswith("Load") and "Annotation" in name


def _bounded(steps: list[Any]) -> list[Any]:
    """The transforms, with each ``ResizeEdge`` before a ``CenterCrop`` as one that is bounded."""
    bounded = list(steps)
    for index, (step, following) in enumerate(itertools.pairwise(steps)):
        if _is_unbounded(step) and type(following).__name__ == "CenterCrop":
            candidate = ResizeEdge(step.scale, step.edge, step.backend, step.interpolation)
            if max(following.crop_size) <= candidate.longest:
                bounded[index] = candidate
    return bounded


def _is_unbounded(step: Any) -> bool:
    """Whether it is mmpretrain's ``ResizeEdge``, whose result may be of any length."""
    return type(step).__name__ == "ResizeEdge" and not isinstance(step, ResizeEdge)


def _check_size(step: Any, results: Any, index: int) -> None:
    """Refuse what would fill the memory: the short edge of a very long image, made larger."""
    if not _is_unbounded(step):
        return
    height, width = resized_size(results["img"].shape, step.scale, step.edge)
    if height * width > _MAX_RESIZED:
        raise CorruptImageError(
            f"damaged image 'images[{index}]': too large (ResizeEdge would make it {width}x{height}"
            " pixels)",
            f"images[{index}]",
            "too large",
        )
