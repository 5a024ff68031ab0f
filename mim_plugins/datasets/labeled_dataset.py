"""Base of data sets with one label per image."""

from mmengine.dataset import BaseDataset


class LabeledDataset(BaseDataset):
    """A data set with one ``gt_label`` per image, as ``ClassBalancedDataset`` of MMEngine reads."""

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the label of sample ``idx`` as a list."""
        return [int(self.get_data_info(idx)["gt_label"])]
