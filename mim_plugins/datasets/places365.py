"""Places365-Standard, read from its official lists."""

import os
from pathlib import Path
from typing import Any

from ..errors import DataNotFoundError
from ..registry import DATASETS
from .image_lists import read_labeled_list
from .labeled_dataset import LabeledDataset
from .single_paths import check_single_paths

NUM_CLASSES = 365
_LISTS = dict(train="places365_train_standard.txt", val="places365_val.txt")
_FOLDERS = dict(
    small=dict(train="data_256", val="val_256"), large=dict(train="data_large", val="val_large")
)
_ARCHIVES = dict(
    small="train_256_places365standard.tar and val_256.tar",
    large="train_large_places365standard.tar and val_large.tar",
)


@DATASETS.register_module()
class Places365(LabeledDataset):
    """Labeled images of Places365-Standard, with its 365 classes.

    The official archives, unpacked side by side::

        data_root/
          categories_places365.txt  places365_train_standard.txt  places365_val.txt
          data_256/a/airfield/IMAGE.jpg  val_256/IMAGE.jpg        (small)
          data_large/a/airfield/IMAGE.jpg  val_large/IMAGE.jpg    (large)

    Args:
        split: ``'train'`` or ``'val'``.
        size: ``'small'``, images resized to 256 x 256, or ``'large'``, whose short edge has at
            least 512 pixels.
        data_root: folder of the files above.
        **kwargs: of MMEngine's ``BaseDataset`` (``pipeline``, ``ann_file``, ``data_prefix``, ...).

    Raises:
        ValueError: another split or size, or lists that are not those of Places365.
        DataNotFoundError: a list or its first image is missing.
    """

    def __init__(self, split: str, size: str = "small", data_root: str = "", **kwargs: Any) -> None:
        if split not in _LISTS:
            raise ValueError(f"Places365: split={split!r} must be one of {list(_LISTS)}")
        if size not in _FOLDERS:
            raise ValueError(f"Places365: size={size!r} must be one of {list(_FOLDERS)}")
        check_single_paths("Places365", data_root=data_root, ann_file=kwargs.get("ann_file"))
        self.size = size
        defaults = dict(
            ann_file=_LISTS[split],
            data_prefix=dict(img_path=_FOLDERS[size][split]),
            test_mode=split == "val",
        )
        super().__init__(data_root=os.path.expanduser(data_root), **(defaults | kwargs))

    def load_data_list(self) -> list[dict]:
        """Return one ``dict(img_path=..., gt_label=...)`` per line, in the order of the list."""
        names = self._read(Path(self.data_root, "categories_places365.txt"))
        labels = sorted(label for _, label in names)
        if labels != list(range(NUM_CLASSES)):
            raise ValueError(
                f"categories_places365.txt in '{self.data_root}' has {len(labels)} classes, but"
                f" Places365 has {NUM_CLASSES}, numbered from 0"
            )
        # '/a/airport_terminal' is class 'airport_terminal'; '/f/field/wild' is 'field/wild'
        self._metainfo["classes"] = tuple(
            name.lstrip("/").split("/", 1)[-1]
            for name, _ in sorted(names, key=lambda entry: entry[1])
        )
        # paths in the training list begin with a slash but are relative to the image folder
        folder = self.data_prefix["img_path"]
        entries = self._read(Path(self.ann_file))
        images = [(os.path.join(folder, name.lstrip("/")), label) for name, label in entries]
        for path, label in images:
            if label >= NUM_CLASSES:
                raise ValueError(
                    f"'{self.ann_file}' gives '{path}' the label {label}, but labels are 0 to"
                    f" {NUM_CLASSES - 1}"
                )
        self._check_folders(entries, {name.strip("/"): label for name, label in names})
        if not images or not os.path.isfile(images[0][0]):
            first = f", such as '{images[0][0]}'," if images else ""
            raise DataNotFoundError(
                f"the images that '{self.ann_file}' lists{first} do not exist. {self._help()}"
            )
        return [dict(img_path=path, gt_label=label) for path, label in images]

    def _check_folders(self, entries: list[tuple[str, int]], labels: dict[str, int]) -> None:
        """Compare the labels of images with those of their folders' classes.

        Validation images are not in folders of classes.

        Raises:
            ValueError: they differ.
        """
        for name, label in entries:
            folder = name.strip("/").rpartition("/")[0]
            if labels.get(folder, label) != label:
                raise ValueError(
                    f"'{self.ann_file}' gives '{name}' the label {label}, but"
                    f" categories_places365.txt gives its folder the label {labels[folder]}; use"
                    " the lists of one release"
                )

    def _read(self, file: Path) -> list[tuple[str, int]]:
        """Return names and labels of lines ``NAME LABEL``."""
        if not file.is_file():
            raise DataNotFoundError(f"there is no file '{file}'. {self._help()}")
        return read_labeled_list(file)

    def _help(self) -> str:
        return (
            "Unpack filelist_places365-standard.tar and"
            f" {_ARCHIVES[self.size]} into '{self.data_root or '.'}', or set the folder with"
            " --data-root."
        )
