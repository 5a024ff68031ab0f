"""Transform that reads one image file."""

import errno
import os
import stat

from mmengine import fileio

from ..errors import CorruptImageError
from ..file_names import printable
from ..registry import TRANSFORMS
from .decode import decode_image


@TRANSFORMS.register_module()
class LoadImage:
    """Read ``img_path`` into ``img`` (BGR), as an alternative to mmcv's ``LoadImageFromFile``.

    The pixels are the same, but all files that cannot be used raise one type of error, so
    :class:`UnlabeledImageFolder` and :class:`FaultTolerantDataset` can replace and count them.

    Args:
        backend_args: arguments of MMEngine's file backend for files that are not on a local disk.

    Raises:
        CorruptImageError: in a call, the file is missing, unreadable or corrupt.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def __call__(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3), ``img_shape`` and ``ori_shape`` (H, W) to a copy."""
        image = decode_image(self._read(results["img_path"]), results["img_path"])
        return dict(results, img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])

    def _read(self, path: str) -> bytes:
        try:
            if self.backend_args is None and "://" not in path:
                return read_regular_file(path)
            return fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise CorruptImageError(
                f"corrupt image '{printable(path)}': missing (no such file)", path, "missing"
            ) from error
        except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
            reason = getattr(error, "strerror", None) or error
            raise CorruptImageError(
                f"corrupt image '{printable(path)}': unreadable ({reason})", path, "unreadable"
            ) from error


def read_regular_file(path: str) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: the file is missing or unreadable, or is a pipe or device, which could block
            forever.
    """
    with open(path, "rb", buffering=0, opener=_open_nonblocking) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return file.read()


def _open_nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
