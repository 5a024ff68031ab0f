"""Transform that reads a random crop of an image file and decodes little else."""

import os
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmengine.logging import print_log
from torch.nn import functional as F

from ..errors import ArchiveError
from ..registry import TRANSFORMS
from . import jpeg_region
from .jpeg_region import Box
from .load_image import LoadImage
from .random_crop import sample_crop_box
from .resize_pillow import resize_pillow

BACKENDS = ("fast", "exact")
FIRST_EPOCH = "first_epoch"
_MAX_INTERLEAVED = 4  # channels for which PyTorch has a fast resize of interleaved bytes


@TRANSFORMS.register_module()
class LoadRandomResizedCrop:
    """Read a random crop of ``img_path`` into ``img`` (BGR), resized bicubically.

    It replaces :class:`LoadImage`, mmpretrain's ``RandomResizedCrop`` with
    ``backend='pillow', interpolation='bicubic'`` and mmcv's ``RandomFlip``. Crops and flips are the
    same for the same state of NumPy's random generator and square images, and so are the errors of
    corrupt files.

    Args:
        scale: side or (H, W) of the result.
        crop_ratio_range: area of the crop relative to that of the image.
        aspect_ratio_range: width / height of the crop relative to that of ``scale``, so the crop is
            stretched equally for every ``scale``. mmpretrain's is absolute.
        flip_prob: probability of a horizontal flip; None draws no random number for it.
        backend: ``'exact'`` yields the pixels of mmpretrain. ``'fast'`` resizes with PyTorch, whose
            rounding differs. With the package simplejpeg (extra ``fast``), it decodes JPEG files
            only down to the last row of the crop, and at 1/2 or 1/4 size if the crop then has at
            least ``scale`` pixels.
        check_full_file: decode below the crop, too, which finds more files with overwritten bytes
            (truncated ones are always found). ``'first_epoch'``: only until this worker has found
            the file intact, by the ``sample_idx`` of MMEngine's data sets. Pixels are the same.
        backend_args: arguments of MMEngine's file backend for files that are not on a local disk.
        bands: see :class:`LoadImage`.

    Raises:
        ValueError: another ``backend`` or ``check_full_file``, an impossible size or range, or a
            ``flip_prob`` outside 0 to 1.
        CorruptImageError: in a call, the file is missing, unreadable or corrupt.
        ArchiveError: in a call, see :class:`LoadImage`.
    """

    def __init__(
        self,
        scale: int | Sequence[int],
        crop_ratio_range: tuple[float, float] = (0.2, 1.0),
        aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
        flip_prob: float | None = None,
        backend: str = "fast",
        check_full_file: bool | str = False,
        backend_args: dict | None = None,
        bands: dict | None = None,
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(
                f"LoadRandomResizedCrop: backend={backend!r} must be one of {BACKENDS}"
            )
        if check_full_file not in (True, False, FIRST_EPOCH):
            raise ValueError(
                f"LoadRandomResizedCrop: check_full_file={check_full_file!r} must be True, False"
                f" or {FIRST_EPOCH!r}"
            )
        if flip_prob is not None and not 0 <= flip_prob <= 1:
            raise ValueError(f"LoadRandomResizedCrop: flip_prob={flip_prob} must be from 0 to 1")
        self.size = _check_size(scale)
        self.crop_ratio_range = _check_range("crop_ratio_range", crop_ratio_range)
        self.aspect_ratio_range = _check_range("aspect_ratio_range", aspect_ratio_range)
        self.flip_prob = flip_prob
        self.backend = backend
        self.check_full_file = check_full_file
        self._intact = bytearray()  # 1 for every sample_idx whose file was decoded to its end
        self.load_full = LoadImage(backend_args, bands)
        self.bands = self.load_full.bands
        reads_regions = backend == "fast" and bands is None
        self.reads_headers = reads_regions and jpeg_region.AVAILABLE
        if reads_regions and not jpeg_region.AVAILABLE:
            print_log(
                "LoadRandomResizedCrop: simplejpeg is not installed, so whole images are decoded;"
                " pip install 'mim_plugins[fast]' makes loading faster",
                logger="current",
            )

    def __call__(self, results: dict) -> dict:
        """Add ``img`` (H, W, C), ``img_shape`` and ``ori_shape`` (H, W) to a copy.

        With ``flip_prob``, add ``flip`` and ``flip_direction``, too.
        """
        data, index = self._read(results), results.get("sample_idx")
        check_full_file = bool(self.check_full_file) and not self._is_intact(index)
        path = os.fsdecode(results["img_path"])
        region, ori_shape = self._sample_region(data, path, check_full_file)
        if check_full_file and index is not None:
            self._remember(index)
        results = dict(results, img_shape=self.size, ori_shape=ori_shape)
        flip = False
        if self.flip_prob is not None:
            flip = bool(np.random.random() < self.flip_prob)
            results |= dict(flip=flip, flip_direction="horizontal" if flip else None)
        resize = resize_fast if self.backend == "fast" else resize_exact
        return dict(results, img=resize(region, self.size, flip))

    def _read(self, results: dict) -> bytes:
        try:
            return self.load_full.read(results["img_path"])
        except ArchiveError:
            raise
        except (OSError, ValueError):
            self.load_full(results)  # raises an error that names the cause
            raise

    def _is_intact(self, index: int | None) -> bool:
        return index is not None and index < len(self._intact) and bool(self._intact[index])

    def _remember(self, index: int) -> None:
        if self.check_full_file == FIRST_EPOCH:
            self._intact.extend(bytes(max(0, index + 1 - len(self._intact))))
            self._intact[index] = 1

    def _sample_region(
        self, data: bytes, path: str, check_full_file: bool
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Return the pixels of a random crop, possibly reduced, and (H, W) of the full image."""
        header = jpeg_region.read_header(data) if self.reads_headers else None
        if header is not None:
            shape = header.height, header.width
            box = self._sample_box(shape)
            region = jpeg_region.decode_region(data, header, box, self.size, check_full_file)
            if region is not None:
                return region, shape
            image = self.load_full.decode(data, path)  # mostly raises an error with the cause
        else:
            image = self.load_full.decode(data, path)
            shape = image.shape[0], image.shape[1]
            box = self._sample_box(shape)
        top, left, height, width = box
        return image[top : top + height, left : left + width], shape

    def _sample_box(self, shape: tuple[int, int]) -> Box:
        low, high = self.aspect_ratio_range
        own = self.size[1] / self.size[0]
        return sample_crop_box(*shape, self.crop_ratio_range, (low * own, high * own))


def _check_size(scale: int | Sequence[int]) -> tuple[int, int]:
    size = (scale, scale) if isinstance(scale, int) else tuple(scale)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(
            f"LoadRandomResizedCrop: scale={scale!r} must be a side or (H, W) in pixels"
        )
    return size


def _check_range(name: str, limits: Sequence[float]) -> tuple[float, float]:
    if len(limits) != 2 or not 0 < limits[0] <= limits[1]:
        raise ValueError(
            f"LoadRandomResizedCrop: {name}={limits!r} must be (lowest, highest), above 0"
        )
    return limits[0], limits[1]


def resize_exact(image: np.ndarray, size: tuple[int, int], flip: bool = False) -> np.ndarray:
    """Resize (h, w, C) to (H, W, C) with Pillow, bicubic and antialiased."""
    image = resize_pillow(image, size, "bicubic")
    return image[:, ::-1] if flip else image


def resize_fast(image: np.ndarray, size: tuple[int, int], flip: bool = False) -> np.ndarray:
    """Resize 8-bit or float (h, w, C) to (H, W, C) with PyTorch, bicubic and antialiased.

    The memory of the result is in the order (C, H, W), which collating needs.
    """
    if image.dtype != np.uint8 or image.shape[2] > _MAX_INTERLEAVED:
        bands = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        resampled = F.interpolate(bands[None], size, mode="bicubic", antialias=True)[0]
        return (resampled.flip(2) if flip else resampled).numpy().transpose(1, 2, 0)
    # with the batch axis added first, PyTorch keeps channels last, and OpenCV transposes faster
    pixels = torch.from_numpy(image)[None].permute(0, 3, 1, 2)
    pixels = F.interpolate(pixels, size, mode="bicubic", antialias=True)
    resized = pixels[0].permute(1, 2, 0).numpy()
    planes = np.empty((resized.shape[2], *size), np.uint8)
    if flip:
        for plane, channel in zip(planes, cv2.split(resized), strict=True):
            cv2.flip(channel, 1, plane)
    else:
        cv2.split(resized, list(planes))
    return planes.transpose(1, 2, 0)
