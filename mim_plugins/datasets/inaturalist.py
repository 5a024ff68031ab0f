"""iNaturalist 2018 and 2019, read from their official annotation files."""

import json
import os
from pathlib import Path
from typing import Any

from ..errors import DataNotFoundError
from ..registry import DATASETS
from .labeled_dataset import LabeledDataset
from .single_paths import check_single_paths

NUM_CLASSES = {2018: 8142, 2019: 1010}


@DATASETS.register_module()
class INaturalist(LabeledDataset):
    """Labeled images of the iNaturalist competitions of 2018 (8,142 classes) and 2019 (1,010).

    The official archives, unpacked side by side::

        data_root/
          train2018.json  val2018.json    (train2019.json, val2019.json)
          train_val2018/SUPERCATEGORY/CATEGORY/IMAGE.jpg
          categories.json                 (optional: names, which the files of 2018 lack)

    Labels are the positions of the category ids in ascending order.

    Args:
        year: 2018 or 2019.
        split: ``'train'`` or ``'val'``, the official splits.
        data_root: folder of the files above.
        **kwargs: of MMEngine's ``BaseDataset`` (``pipeline``, ``ann_file``, ...).

    Raises:
        ValueError: another year or split, or annotations that are not those of the year.
        DataNotFoundError: the annotation file or its first image is missing.
    """

    def __init__(self, year: int, split: str, data_root: str = "", **kwargs: Any) -> None:
        if year not in NUM_CLASSES:
            raise ValueError(f"INaturalist: year={year!r} must be one of {list(NUM_CLASSES)}")
        if split not in ("train", "val"):
            raise ValueError(f"INaturalist: split={split!r} must be 'train' or 'val'")
        check_single_paths("INaturalist", data_root=data_root, ann_file=kwargs.get("ann_file"))
        self.year = year
        kwargs = dict(ann_file=f"{split}{year}.json", test_mode=split == "val") | kwargs
        super().__init__(data_root=os.path.expanduser(data_root), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return one ``dict(img_path=..., gt_label=...)`` per annotation, in file order."""
        content = self._read(Path(self.ann_file))
        categories = sorted(content["categories"], key=lambda category: category["id"])
        expected = NUM_CLASSES[self.year]
        if len(categories) != expected:
            raise ValueError(
                f"'{self.ann_file}' has {len(categories)} categories, but iNaturalist {self.year}"
                f" has {expected}: is it the annotation file of another year?"
            )
        names = {c["id"]: str(c.get("name", c["id"])) for c in categories}
        names |= self._released_names(names)
        labels = {category_id: label for label, category_id in enumerate(names)}
        self._metainfo["classes"] = tuple(names.values())
        files = {image["id"]: image["file_name"] for image in content["images"]}
        self._check_folders(content["annotations"], files)
        data = [
            dict(
                img_path=os.path.join(self.data_root, files[annotation["image_id"]]),
                gt_label=labels[annotation["category_id"]],
            )
            for annotation in content["annotations"]
        ]
        if not data or not os.path.isfile(data[0]["img_path"]):
            first = f", such as '{data[0]['img_path']}'," if data else ""
            raise DataNotFoundError(
                f"the images that '{self.ann_file}' lists{first} do not exist. {self._help()}"
            )
        return data

    def _read(self, file: Path) -> dict:
        if not file.is_file():
            raise DataNotFoundError(f"there is no annotation file '{file}'. {self._help()}")
        content = json.loads(file.read_bytes())
        missing = {"images", "annotations", "categories"} - set(content)
        if missing:
            raise ValueError(
                f"'{file}' has no {', '.join(sorted(missing))}: it is not an annotation file of"
                " iNaturalist's training or validation images"
            )
        return content

    def _check_folders(self, annotations: list[dict], files: dict[int, str]) -> None:
        """Compare category ids with the folders of the images, which the archives name after them.

        Raises:
            ValueError: they differ.
        """
        for annotation in annotations:
            name, category = files[annotation["image_id"]], annotation["category_id"]
            folder = os.path.basename(os.path.dirname(name))
            if folder.isdecimal() and int(folder) != category:
                raise ValueError(
                    f"'{self.ann_file}' gives '{name}' the category {category}, but its folder is"
                    f" that of category {folder}; use the official annotation file"
                )

    def _released_names(self, known: dict[int, str]) -> dict[int, str]:
        file = Path(self.data_root, "categories.json")
        if not file.is_file():
            return {}
        released = {c["id"]: str(c["name"]) for c in json.loads(file.read_bytes())}
        return released if set(released) == set(known) else {}

    def _help(self) -> str:
        return (
            f"Unpack train_val{self.year}.tar.gz, train{self.year}.json.tar.gz and"
            f" val{self.year}.json.tar.gz into '{self.data_root or '.'}', or set the folder with"
            " --data-root."
        )
