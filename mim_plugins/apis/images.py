"""Images of any kind and size as one batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..transforms.decode import decode_image

Images = Any
"""One image or a sequence of them: paths, PIL images, RGB arrays (H, W, 3), RGB tensors (3, H, W);
or an array (B, H, W, 3) or tensor (B, 3, H, W). Numbers are bytes, or floats in [0, 1]."""


def read_images(images: Images, short_edge: int, crop: tuple[int, int]) -> Tensor:
    """Read images, resize their short edge and cut their centre out.

    As the evaluation pipeline of the recipes does: bicubic, antialiased, on bytes.

    Args:
        images: see :data:`Images`; sizes may differ.
        short_edge: pixels of the short edge after resizing.
        crop: (H, W) in pixels; neither is above ``short_edge``.

    Returns:
        RGB bytes (B, 3, H, W).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no image, an unreadable one, or numbers of another kind or range.
    """
    batch = [_resize_and_crop(rgb, short_edge, crop) for rgb in _each(images)]
    if not batch:
        raise ValueError("images: there are none; give at least one")
    return torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).contiguous()


def _each(images: Images) -> Iterator[np.ndarray]:
    """Each image as RGB bytes (H, W, 3)."""
    is_array = isinstance(images, (np.ndarray, Tensor))
    single = (is_array and images.ndim == 3) or isinstance(images, (str, Path, Image.Image))
    for index, image in enumerate([images] if single else images):
        yield _to_rgb(image, index)


def _to_rgb(image: Any, index: int) -> np.ndarray:
    if isinstance(image, (str, Path)):
        path = Path(image).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"there is no image '{image}'")
        return decode_image(path.read_bytes(), str(path))[..., ::-1]
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if isinstance(image, Tensor):
        image = image.detach().cpu()
        if image.ndim == 3 and image.shape[0] == 3:
            return _to_bytes(image.permute(1, 2, 0).numpy(), index)
        raise ValueError(
            f"images[{index}]: a tensor of shape {tuple(image.shape)}; expected RGB (3, H, W)"
        )
    if isinstance(image, np.ndarray):
        if image.ndim == 3 and image.shape[2] == 3:
            return _to_bytes(image, index)
        raise ValueError(
            f"images[{index}]: an array of shape {image.shape}; expected RGB (H, W, 3)"
        )
    raise ValueError(
        f"images[{index}]: {type(image).__name__} is no image; give a path, a PIL image, an RGB"
        " array (H, W, 3) or an RGB tensor (3, H, W)"
    )


def _to_bytes(pixels: np.ndarray, index: int) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating) or not (
        np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1
    ):
        raise ValueError(
            f"images[{index}]: {pixels.dtype} from {pixels.min()} to {pixels.max()}; expected"
            " bytes (uint8), or floats in [0, 1] that are not normalised yet"
        )
    return np.round(pixels * 255).astype(np.uint8)


def _resize_and_crop(rgb: np.ndarray, short_edge: int, crop: tuple[int, int]) -> np.ndarray:
    height, width = rgb.shape[:2]
    # as mmpretrain's ResizeEdge and CenterCrop compute sizes and borders
    if width < height:
        height, width = int(short_edge * height / width), short_edge
    else:
        height, width = short_edge, int(short_edge * width / height)
    resized = Image.fromarray(np.ascontiguousarray(rgb)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    top, left = round((height - crop[0]) / 2), round((width - crop[1]) / 2)
    return np.asarray(resized)[top : top + crop[0], left : left + crop[1]]


def evaluation_geometry(cfg: Any, img_size: Sequence[int]) -> tuple[int, tuple[int, int]]:
    """Short edge and crop (H, W) of a config's test pipeline.

    Without a test pipeline: the usual 256 / 224 of ``img_size`` (H, W), which is then the crop. A
    pipeline that neither resizes nor crops expects images of ``img_size``.
    """
    crop = (int(img_size[0]), int(img_size[1]))
    dataset = ((cfg or {}).get("test_dataloader") or {}).get("dataset")
    if dataset is None:
        return round(max(crop) * 256 / 224), crop
    while "dataset" in dataset:  # wrappers
        dataset = dataset["dataset"]
    pipeline = {step["type"].rpartition(".")[2]: step for step in dataset.get("pipeline", ())}
    if "CenterCrop" in pipeline:
        size = pipeline["CenterCrop"]["crop_size"]
        crop = (size, size) if isinstance(size, int) else (size[1], size[0])
    return pipeline.get("ResizeEdge", {}).get("scale", max(crop)), crop


def normalise(images: Tensor, preprocessor: Any, device: torch.device) -> Tensor:
    """RGB bytes (B, 3, H, W) as the model reads them; ``preprocessor`` is its data preprocessor.

    Images go into the network in RGB, unless the preprocessor is one of mmpretrain's with
    ``to_rgb=False``, which leaves OpenMMLab's BGR.
    """
    pixels = images.to(device).float()
    if not getattr(preprocessor, "to_rgb", True):
        pixels = pixels.flip(1)
    if getattr(preprocessor, "mean", None) is None:
        return pixels
    return (pixels - preprocessor.mean.to(device)) / preprocessor.std.to(device)
