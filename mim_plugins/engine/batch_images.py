"""Number of images in the batches of a loader."""

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from torch import Tensor

_IMAGE_DIMS = 3  # C, H, W


def images_per_batch(loader: Any) -> int | None:
    """Return the images per batch of one process.

    Args:
        loader: PyTorch's loader or a similar class.

    Returns:
        The number, None if a custom batch sampler defines none, or several.
    """
    own = getattr(loader, "batch_size", None)
    size = own or getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    return int(size) if isinstance(size, Integral) else None


def images_in(batch: Any) -> int | None:
    """Return the number of images in a batch in any form that OpenMMLab or PyTorch collate.

    Args:
        batch: a dict of columns, a tuple of columns, one column, or a list of dicts.

    Returns:
        The length of the column ``data_samples``, otherwise of the first column, or of the first
        view in it; None if there is no column.
    """
    if isinstance(batch, (tuple, list)) and batch and not isinstance(batch[0], Mapping):
        batch = batch[0]
    if not isinstance(batch, Mapping):
        return _length(batch)
    columns = [batch.get("data_samples"), *batch.values()]
    lengths = (images_in(each) if isinstance(each, Mapping) else _length(each) for each in columns)
    return next((each for each in lengths if each is not None), None)


def _length(column: Any) -> int | None:
    if isinstance(column, Tensor):
        return len(column) if column.ndim else None
    if not isinstance(column, (tuple, list)):
        return None
    is_views = len(column) and isinstance(column[0], Tensor) and column[0].ndim > _IMAGE_DIMS
    return len(column[0] if is_views else column)
