"""Transform that reads one image file."""

import os
from http.client import HTTPException
from typing import Any

import numpy as np
from mmengine import fileio

from ..archives import is_url, read_image_file
from ..errors import ArchiveError, CorruptImageError, MissingPackageError
from ..file_names import printable
from ..registry import TRANSFORMS
from .bands import BandImage, Bands
from .decode import decode_image


@TRANSFORMS.register_module()
class LoadImage:
    """Read ``img_path`` into ``img`` (BGR), as an alternative to mmcv's ``LoadImageFromFile``.

    The pixels are the same, but all files that cannot be used raise one type of error, so
    :class:`UnlabeledImageFolder` and :class:`FaultTolerantDataset` can replace and count them.

    Args:
        backend_args: arguments of MMEngine's file backend for files that are not on a local disk.
        bands: arguments of :class:`Bands`, such as ``dict(channels=13)``, for images of another
            number of channels than 3 or of more than 8 bits; None reads 8-bit colors.

    Raises:
        CorruptImageError: in a call, the file is missing, unreadable or corrupt.
        ArchiveError: in a call, the archive cannot be opened, so none of its images can be read.
        ConfigError: ``bands`` is wrong; or in a call, a package that reads the format is missing.
        MissingPackageError: in a call, a package of the file backend is missing.
    """

    def __init__(self, backend_args: dict | None = None, bands: dict | None = None) -> None:
        self.backend_args = backend_args
        self.bands = None if bands is None else Bands(**bands)

    def __call__(self, results: dict) -> dict:
        """Add ``img`` (H, W, C), ``img_shape`` and ``ori_shape`` (H, W) to a copy."""
        path = os.fsdecode(results["img_path"])
        image = self.decode(self._read(path), path)
        return dict(results, img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])

    def decode(self, data: bytes, path: str = "") -> np.ndarray:
        """Decode the content of a file, as :func:`decode_image` or :meth:`Bands.decode`."""
        return decode_image(data, path) if self.bands is None else self.bands.decode(data, path)

    def read_bands(self, path: str | os.PathLike) -> BandImage:
        """Read a file with its missing values, as :meth:`Bands.read`; 8-bit RGB without bands."""
        path = os.fsdecode(path)
        if self.bands is not None:
            return self.bands.read(self._read(path), path)
        colors = np.ascontiguousarray(decode_image(self._read(path), path)[..., ::-1])
        return BandImage(colors, None, colors.dtype)

    def read(self, path: str | os.PathLike) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: the file is missing or unreadable.
            ValueError: the path is no path, or an archive or a member of it is corrupt.
            MissingPackageError: the file backend of the path needs a package.
        """
        path = os.fsdecode(path)
        if self.backend_args is None and not is_url(path):
            return read_image_file(path)
        try:
            return fileio.get(path, backend_args=self.backend_args)
        except HTTPException as error:  # a connection that ends early; no OSError
            raise OSError(f"{type(error).__name__}: {error}") from error
        except KeyError as error:
            raise OSError(f"MMEngine has no file backend for {error}://") from error
        except ImportError as error:
            cause = " ".join(str(error).split())
            raise MissingPackageError(
                f"'{printable(path)}' needs a package of MMEngine's file backend ({cause}): install"
                " it, or copy the files to a disk"
            ) from error

    def _read(self, path: str) -> bytes:
        try:
            return self.read(path)
        except FileNotFoundError as error:
            raise CorruptImageError(
                f"corrupt image '{printable(path)}': missing (no such file)", path, "missing"
            ) from error
        except ArchiveError:  # of the network or a package, perhaps, and so of every image
            raise
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
            reason = getattr(error, "strerror", None) or error
            raise CorruptImageError(
                f"corrupt image '{printable(path)}': unreadable ({reason})", path, "unreadable"
            ) from error


def reader_after_failure(pipeline: Any, results: dict) -> LoadImage | None:
    """Return what reads the image of a sample that the pipeline cannot load, None if it can.

    Args:
        pipeline: built pipeline, whose transforms are called until one adds ``img``.
        results: annotation of the sample.
    """
    for step in getattr(pipeline, "transforms", ()):
        try:
            results = step(results)
        except Exception:
            own = getattr(step, "load_full", step)
            return (
                own
                if isinstance(own, LoadImage)
                else LoadImage(getattr(step, "backend_args", None))
            )
        if results is None or "img" in results:
            break
    return None


def loader_of(pipeline: Any) -> LoadImage:
    """Return the loading transform of a built pipeline, or one for 8-bit colors."""
    steps = (getattr(step, "load_full", step) for step in getattr(pipeline, "transforms", ()))
    return next((step for step in steps if isinstance(step, LoadImage)), LoadImage())
