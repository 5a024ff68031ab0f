"""Transform that reads one image file."""

from mmengine import fileio

from ..registry import TRANSFORMS
from .damaged_image_error import DamagedImageError
from .decode import decode_image


@TRANSFORMS.register_module()
class LoadImage:
    """Read ``img_path`` into ``img`` (BGR), in place of mmcv's ``LoadImageFromFile``.

    The same pixels, but every file that cannot be used is one error, which
    :class:`UnlabeledImageFolder` and :class:`FaultTolerantDataset` can replace and count.

    Args:
        backend_args: of MMEngine's file backends, for files that are not on a local disk.

    Raises:
        DamagedImageError: when called on a file that is missing, unreadable or damaged.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def __call__(self, results: dict) -> dict:
        """Add ``img`` (H, W, 3), ``img_shape`` and ``ori_shape`` (H, W) to a copy."""
        image = decode_image(self._read(results["img_path"]), results["img_path"])
        return dict(results, img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])

    def _read(self, path: str) -> bytes:
        try:
            return fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise DamagedImageError(
                f"damaged image '{path}': missing (no such file)", path, "missing"
            ) from error
        except OSError as error:
            raise DamagedImageError(
                f"damaged image '{path}': unreadable ({error.strerror or error})",
                path,
                "unreadable",
            ) from error
