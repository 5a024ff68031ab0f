"""Data set for evaluations that marks corrupt images."""

from typing import Any

from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from ..datasets.replacement import RECORD, prepare_or_replace
from ..datasets.wrappers import base_datasets
from ..errors import CorruptImageError
from ..transforms.load_image import loader_of


class ReadableImages(Dataset):
    """Data set that returns another sample, with a record, for an image that cannot be read.

    The placeholder keeps batches complete on all processes, and :func:`extract_features` drops it
    because of its record. Whichever transform loads images, one is corrupt if
    ``mim_plugins.LoadImage``, with the same bands, cannot read it either. Other errors propagate.

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
        try:
            return self.dataset[index]
        except CorruptImageError:
            raise
        except Exception:
            # loading transforms raise many types, some without the path
            pipeline = getattr(base_datasets(self.dataset)[0], "pipeline", None)
            path = self.dataset.get_data_info(index)["img_path"]
            loader_of(pipeline)(dict(img_path=path))
            raise


def corruption_record(sample: BaseDataElement | None) -> dict[str, str]:
    """Return the corrupt images that a sample replaces, as a dict from paths to messages."""
    return {} if sample is None else sample.metainfo.get(RECORD, {})
