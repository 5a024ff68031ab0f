"""Base of data sets with one label per image."""

from collections.abc import Sequence

import numpy as np
from mmengine.dataset import BaseDataset


class LabeledDataset(BaseDataset):
    """MMEngine's data set with one ``gt_label`` per image.

    It has the attributes that wrappers and hooks of MMEngine and mmpretrain read.
    """

    @property
    def CLASSES(self) -> Sequence[str] | None:  # noqa: N802  mmpretrain's name
        """Names of the classes, if there are any."""
        return self._metainfo.get("classes")

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the label of sample ``idx`` as a list."""
        return [int(self.get_data_info(idx)["gt_label"])]

    def get_gt_labels(self) -> np.ndarray:
        """Return the labels of all samples (N,)."""
        return np.array([self.get_data_info(idx)["gt_label"] for idx in range(len(self))])
