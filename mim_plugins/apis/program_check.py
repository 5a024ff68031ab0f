"""Comparison of an exported program with the path of image files through a model."""

import math
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import BUILD_ERRORS, ConfigError
from .from_pixels import FromPixels
from .inputs import loading_pipeline, model_inputs


@torch.no_grad()
def check_size(module: FromPixels, size: tuple[int, int]) -> None:
    """Check that a model accepts images of ``size`` (H, W), before an exporter reports others.

    Raises:
        ConfigError: it does not.
    """
    reason = "both sides must be at least 1"
    if min(size) >= 1:
        try:
            module(torch.zeros(1, module.channels, *size))
            return
        except (*BUILD_ERRORS, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    raise ConfigError(
        f"the size {size[0]}x{size[1]} (height x width) does not fit the model: {reason}; give"
        " another size of images, such as that of its training"
    )


@torch.no_grad()
def largest_difference(
    module: FromPixels,
    program: Callable[[Tensor], Tensor],
    size: tuple[int, int],
    batches: Iterable[int],
) -> float:
    """Return the largest difference of a program from its model, relative to the largest output.

    The program receives the pixels of random images. The model receives the files of these images
    from its loading transform and its data preprocessor, so a wrong order of colors or another
    normalization is a difference, and values that are not finite are an infinite one. Images of
    several bands are not written to files.

    Args:
        module: model on the CPU, from which ``program`` was exported.
        program: function of pixels (B, C, H, W).
        size: (H, W) of the images in pixels.
        batches: numbers of images, each of which is tried.
    """
    model, pipeline = module.model, loading_pipeline(module.model)
    worst = 0.0
    for count in batches:
        shape = (count, module.channels, *size)
        if pipeline.loader.bands is None:
            pixels = torch.randint(256, shape, dtype=torch.uint8)
            samples = _from_files(pipeline, pixels)
        else:
            pixels = _random_bands(model.data_preprocessor, shape)
            samples = pipeline(list(pixels))
        expected = module.outputs(model_inputs(model, samples))
        worst = max(worst, _relative(program(pixels.float()) - expected, expected))
    return worst


def _relative(difference: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest value, infinity for NaN."""
    if not difference.isfinite().all():
        return math.inf  # not NaN, which no maximum keeps
    largest = difference.abs().max()
    return float(largest / expected.abs().max()) if largest > 0 else 0.0


def _from_files(pipeline: Any, pixels: Tensor) -> list[dict]:
    """Write images (B, 1 or 3, H, W) as PNG files, and return the pipeline's samples of them."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, f"{index}.png")) for index in range(len(pixels))]
        for file, image in zip(files, pixels, strict=True):
            Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()).save(file)
        return pipeline(files)


def _random_bands(preprocessor: Any, shape: tuple[int, ...]) -> Tensor:
    """Return images with the mean and standard deviation of the model's, or 8-bit ones."""
    if getattr(preprocessor, "mean", None) is None:
        return torch.randint(256, shape).float()
    return torch.randn(shape) * preprocessor.std + preprocessor.mean
