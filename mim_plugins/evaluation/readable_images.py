"""A data set for evaluations in which corrupt images are marked."""

from typing import Any

from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from ..datasets.replacement import RECORD, prepare_or_replace
from ..errors import CorruptImageError
from ..transforms import LoadImage


class ReadableImages(Dataset):
    """A data set that gives another sample, with a record, for an image that cannot be read.

    The stand-in keeps batches complete, on all processes alike; :func:`extract_features` leaves it
    out by its record. Whatever the pipeline loads with, an image that ``mim_plugins.LoadImage``
    cannot read either is taken for corrupt; other errors pass.

    Args:
        dataset: of MMEngine's kind, with samples ``dict(inputs, data_samples)``.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    @property
    def metainfo(self) -> dict:
        """The wrapped data set's."""
        return self.dataset.metainfo

    def __len__(self) -> int:
        """Return the number of samples, the corrupt ones included."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """Return sample ``index``, or a stand-in with a record of the corrupt image.

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
            # every loader has errors of its own, some without the path
            LoadImage()(dict(img_path=self.dataset.get_data_info(index)["img_path"]))
            raise


def damage_record(sample: BaseDataElement | None) -> dict[str, str]:
    """Return the corrupt images that a sample stands for, as a dict from paths to messages."""
    return {} if sample is None else sample.metainfo.get(RECORD, {})
