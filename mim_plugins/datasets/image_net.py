"""ImageNet-1k in class folders or listed in files."""

from typing import Any

from ..registry import DATASETS
from .labeled_image_folder import LabeledImageFolder


@DATASETS.register_module()
class ImageNet(LabeledImageFolder):
    """ImageNet-1k with its 1,000 class names, like mmpretrain's data set of this name.

    Args:
        metainfo: of MMEngine's ``BaseDataset``; its ``classes`` override those of ImageNet.
        **kwargs: of :class:`LabeledImageFolder`.
    """

    def __init__(self, metainfo: dict | None = None, **kwargs: Any) -> None:
        from mmpretrain.datasets.categories import IMAGENET_CATEGORIES

        super().__init__(metainfo=dict(classes=IMAGENET_CATEGORIES) | (metainfo or {}), **kwargs)
