"""Application of a config's transforms to images of any kind."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.registry import TRANSFORMS, DefaultScope
from torch import Tensor

from ..errors import ConfigError
from ..transforms import LoadImage
from .image_size import bounded_steps, check_resized
from .pixels import Images, each_image, to_pixels


class ImagePipeline:
    """Transforms of a test pipeline for images that do not come from a data set.

    The loading transform is replaced by :func:`to_pixels`, so a file, a PIL image and an array give
    the same result. Transforms that load annotations are omitted. A ``ResizeEdge`` before a center
    crop resizes only the middle of very long images.

    Args:
        transforms: configs or objects; the first one loads an image and the last one packs it.
        scope: scope of the configs' types.
        name: name of the pipeline in messages.

    Attributes:
        loader: transform that reads files as the pipeline does.

    Raises:
        ConfigError: a transform cannot be built or needs a data set, or fails when it is called.
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
                f"{name} begins with {first}, so its input is unknown; begin it with"
                " LoadImageFromFile or LoadImage"
            )
        self.loader = steps[0] if isinstance(steps[0], LoadImage) else LoadImage()
        self._as_loaded = _LoadedFormat(steps[0], name)
        kept = [step for step in steps[1:] if not _loads_annotations(step)]
        self._steps = bounded_steps(kept)

    def __call__(self, images: Images) -> list[dict]:
        """Return for each image a dict with ``inputs`` (C, H, W) and what else the pipeline packs.

        Raises:
            FileNotFoundError: a file does not exist.
            CorruptImageError: a file cannot be read, or an image would become too large.
            ValueError: there is no image, or a value is not an image.
        """
        with DefaultScope.overwrite_default_scope(self.scope):
            return [
                self._prepare(pixels, index, name)
                for index, (name, pixels) in enumerate(each_image(images, self.loader))
            ]

    def prepare(self, image: Any, index: int, name: str) -> dict:
        """Return the dict of one image, as a call does.

        Args:
            image: see :func:`to_pixels`.
            index: position of the image in its sequence.
            name: name of the image in messages.

        Raises:
            FileNotFoundError, CorruptImageError, ValueError: see :meth:`__call__`.
        """
        with DefaultScope.overwrite_default_scope(self.scope):
            return self._prepare(to_pixels(image, name, self.loader), index, name)

    def _build(self, transform: dict | Callable) -> Callable:
        if callable(transform):
            return transform
        try:
            with DefaultScope.overwrite_default_scope(self.scope):
                return TRANSFORMS.build(copy.deepcopy(transform))
        except Exception as error:  # constructors may raise any type
            raise ConfigError(
                f"{self.name}: {transform.get('type')} cannot be built: {error}"
            ) from error

    def _prepare(self, pixels: np.ndarray, index: int, name: str) -> dict:
        image = self._as_loaded(pixels)
        shape = image.shape[:2]
        results: Any = dict(
            img=image, img_shape=shape, ori_shape=shape, img_path="", sample_idx=index, img_id=index
        )
        for step in self._steps:
            check_resized(step, results, name)
            try:
                results = step(results)
            except Exception as error:
                raise ConfigError(
                    f"{self.name}: {type(step).__name__} fails for '{name}' of"
                    f" {shape[1]}x{shape[0]} pixels: {type(error).__name__}: {error}"
                ) from error
        inputs = results.get("inputs") if isinstance(results, dict) else None
        if not isinstance(inputs, Tensor) or inputs.ndim != 3:
            raise ConfigError(
                f"{self.name} does not return one image (C, H, W) in 'inputs'; end it with"
                " PackInputs"
            )
        return results


class _LoadedFormat:
    """Conversion of pixels to the output format of a loading transform."""

    def __init__(self, loader: Any, name: str) -> None:
        self.color_type = getattr(loader, "color_type", "color")
        self.to_float32 = getattr(loader, "to_float32", False)
        backend = getattr(loader, "imdecode_backend", "cv2")
        if self.color_type not in ("color", "grayscale") or backend == "tifffile":
            raise ConfigError(
                f"{name}: {type(loader).__name__} with color_type={self.color_type!r} and"
                f" imdecode_backend={backend!r} is not supported; use color_type 'color' or"
                " 'grayscale', and another imdecode_backend than 'tifffile'"
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
