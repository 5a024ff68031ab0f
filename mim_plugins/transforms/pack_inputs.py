"""Transform that packs a loaded image for the data preprocessor."""

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from ..registry import TRANSFORMS

META_KEYS = ("sample_idx", "img_path", "ori_shape", "img_shape", "flip", "flip_direction")


@TRANSFORMS.register_module()
class PackInputs:
    """Convert the image to a tensor and the metadata to a data sample, at the end of a pipeline.

    mmpretrain's transform of the same name keeps labels, too, but imports all its data sets.

    Args:
        meta_keys: entries of the sample that the data sample keeps, where they exist.
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def __call__(self, results: dict) -> dict:
        """Return ``inputs`` (C, H, W) of ``img`` (H, W) or (H, W, C), and ``data_samples``.

        Raises:
            KeyError: there is no ``img``, because no step before this one loads it.
        """
        if "img" not in results:
            raise KeyError("PackInputs: the sample has no 'img'; put mim_plugins.LoadImage first")
        image = np.atleast_3d(results["img"])
        # copies only if the memory is not contiguous in this order
        inputs = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        metainfo = {key: results[key] for key in self.meta_keys if key in results}
        return dict(inputs=inputs, data_samples=BaseDataElement(metainfo=metainfo))
