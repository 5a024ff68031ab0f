"""Data set for evaluations that marks corrupt images."""

from typing import Any

from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from ..datasets.replacement import RECORD, prepare_or_name_cause, prepare_or_replace


class ReadableImages(Dataset):
    """Data set that returns another sample, with a record, for an image that cannot be read.

    The placeholder keeps batches complete on all processes, and :func:`extract_features` drops it
    because of its record. Any transform may load the images, see :func:`prepare_or_name_cause`.

    Args:
        dataset: MMEngine data set with samples ``dict(inputs, data_samples)``.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    @property
    def metainfo(self) -> dict:
        """Metainfo of the wrapped data set."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        """Return the number of samples, including corrupt ones."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """Return sample ``index``, or a placeholder with a record of the corrupt image.

        Raises:
            CorruptImageError: no image of the data set can be read.
        """
        return prepare_or_replace(self._prepare, index, len(self), max_attempts=len(self))

    def _prepare(self, index: int) -> Any:
        return prepare_or_name_cause(self.dataset.__getitem__, index, self.dataset)


def corruption_record(sample: BaseDataElement | None) -> dict[str, str]:
    """Return the corrupt images that a sample replaces, as a dict from paths to messages."""
    return {} if sample is None else sample.metainfo.get(RECORD, {})
