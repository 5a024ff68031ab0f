"""Wrapper that replaces damaged images of any data set."""

from typing import Any

from mmengine.dataset import BaseDataset

from ..registry import DATASETS
from .replacement import check_on_corrupt, prepare_or_replace


@DATASETS.register_module()
class FaultTolerantDataset:
    """Any data set of MMEngine's kind, in which damaged images are replaced and counted.

    Its pipeline must load with ``mim_plugins.LoadImage``. For training data: in an evaluation,
    a replaced image would be scored as another one.

    Args:
        dataset: config or object of the data set.
        on_corrupt: ``'replace'`` a damaged image by another sample (see
            :func:`replacement_index`), recorded for :class:`CorruptImageHook`; ``'stop'`` the run
            at the first one.

    Raises:
        ValueError: another ``on_corrupt``, or a data set in test mode.
    """

    def __init__(self, dataset: dict | BaseDataset, on_corrupt: str = "replace") -> None:
        check_on_corrupt("FaultTolerantDataset", on_corrupt)
        self.dataset: Any = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if getattr(self.dataset, "test_mode", False):
            raise ValueError(
                "FaultTolerantDataset: the data set has test_mode=True; wrap training data only"
            )
        self.on_corrupt = on_corrupt

    @property
    def metainfo(self) -> dict:
        """Of the wrapped data set."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the wrapped data set's annotations."""
        self.dataset.full_init()

    def get_data_info(self, idx: int) -> dict:
        """What the wrapped data set knows about sample ``idx``."""
        return self.dataset.get_data_info(idx)

    def __getattr__(self, name: str) -> Any:
        """Return what else the wrapped data set has, such as ``get_cat_ids`` or ``CLASSES``."""
        if name.startswith("_") or name == "dataset":  # not yet there while it is unpickled
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        """Number of samples of the wrapped data set."""
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx``, or the one that replaces a damaged image."""
        if self.on_corrupt == "stop":
            return self.dataset[idx]
        return prepare_or_replace(self.dataset.__getitem__, idx, len(self))
