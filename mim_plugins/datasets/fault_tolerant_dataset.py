"""Wrapper that replaces corrupt images of any data set."""

from typing import Any

from mmengine.dataset import BaseDataset

from ..registry import DATASETS
from .replacement import check_on_corrupt, prepare_or_name_cause, prepare_or_replace


@DATASETS.register_module()
class FaultTolerantDataset:
    """Wrapper of an MMEngine data set that replaces and counts corrupt images.

    ``mim_plugins.LoadImage`` in the pipeline detects the most corruption; see
    :func:`prepare_or_name_cause` for other loading transforms. The wrapper is for training data
    only because an evaluation would score a replacement as the original.

    Args:
        dataset: config or object of the data set.
        on_corrupt: ``'replace'`` a corrupt image with another sample (see
            :func:`replacement_index`), recorded for :class:`CorruptImageHook`, or ``'stop'`` the
            run at the first one.

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
        """Metainfo of the wrapped data set."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the annotations of the wrapped data set."""
        self.dataset.full_init()

    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of sample ``idx`` of the wrapped data set."""
        return self.dataset.get_data_info(idx)

    def __getattr__(self, name: str) -> Any:
        """Return other attributes of the wrapped data set, such as ``get_cat_ids``."""
        if name.startswith("_") or name == "dataset":  # missing during unpickling
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set attributes of the wrapped data set, such as ``pipeline``, which hooks replace."""
        is_own = name in ("dataset", "on_corrupt") or name.startswith("_")
        if is_own:
            super().__setattr__(name, value)
        else:
            setattr(self.dataset, name, value)

    def __len__(self) -> int:
        """Return the number of samples of the wrapped data set."""
        return len(self.dataset)

    def __getitem__(self, idx: int) -> Any:
        """Return sample ``idx``, or the replacement of a corrupt image."""
        if self.on_corrupt == "stop":
            return self._prepare(idx)
        return prepare_or_replace(self._prepare, idx, len(self))

    def _prepare(self, idx: int) -> Any:
        return prepare_or_name_cause(self.dataset.__getitem__, idx, self.dataset)
