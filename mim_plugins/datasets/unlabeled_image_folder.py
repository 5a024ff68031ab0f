"""Images of a folder, without labels."""

import os
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ..registry import DATASETS
from .data_not_found_error import DataNotFoundError
from .replacement import check_on_damage, prepare_or_replace

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip


@DATASETS.register_module()
class UnlabeledImageFolder(BaseDataset):
    """All images under a folder, flat or in sub-folders of any depth.

    Args:
        data_root: the folder. If it has a sub-folder ``data_prefix['img_path']`` (``train`` in our
            recipes), only that one is read; a plain folder of images works as well.
        ann_file: optional text file, relative to ``data_root``, with one image path per line,
            relative to the folder that is read; a label after the path is ignored.
        data_prefix: ``dict(img_path=...)``, the sub-folder.
        on_damage: ``'stop'`` the run at the first image that ``mim_plugins.LoadImage`` cannot read,
            or ``'replace'`` it by another sample (see :func:`replacement_index`), recorded for
            :class:`DataFaultHook`; choose it together with the hook. Not in test mode.
        **kwargs: of MMEngine's ``BaseDataset`` (``pipeline``, ``indices``, ...).

    Raises:
        ValueError: another ``on_damage``.
        DataNotFoundError: the folder, the annotation file or the first image that it lists is
            missing, or there is no image at all.
    """

    METAINFO = dict(classes=None)

    def __init__(
        self,
        data_root: str,
        ann_file: str = "",
        data_prefix: dict | str = "",
        on_damage: str = "stop",
        **kwargs: Any,
    ) -> None:
        check_on_damage("UnlabeledImageFolder", on_damage)
        self.on_damage = on_damage
        if not isinstance(data_prefix, dict):
            data_prefix = dict(img_path=data_prefix)
        super().__init__(
            data_root=os.path.expanduser(data_root),
            ann_file=ann_file,
            data_prefix=dict(img_path="") | data_prefix,
            **kwargs,
        )

    def prepare_data(self, idx: int) -> Any:
        """Load and transform sample ``idx``, or the one that replaces a damaged image."""
        if self.on_damage == "stop" or self.test_mode:
            return super().prepare_data(idx)
        return prepare_or_replace(super().prepare_data, idx, len(self))

    def load_data_list(self) -> list[dict]:
        """One ``dict(img_path=...)`` per image, in sorted order."""
        folder = self._image_folder()
        paths = self._read_annotation_file(folder) if self.ann_file else find_images(folder)
        if not paths:
            raise DataNotFoundError(
                f"no images in '{folder}' or its sub-folders (looked for"
                f" {' '.join(IMAGE_SUFFIXES)}). {_LAYOUT_HELP}"
            )
        origin = f", named by '{self.ann_file}'" if self.ann_file else ""
        print_log(f"{len(paths)} images in '{folder}'{origin}", logger="current")
        return [dict(img_path=path) for path in paths]

    def _image_folder(self) -> Path:
        root = Path(self.data_root)
        if not root.is_dir():
            raise DataNotFoundError(f"there is no folder '{root}'. {_LAYOUT_HELP}")
        folder = Path(self.data_prefix["img_path"])
        if folder.is_dir():
            return folder
        if any((root / split).is_dir() for split in ("train", "val", "test")):
            raise DataNotFoundError(
                f"there is no folder '{folder}', but '{root}' has other splits. {_LAYOUT_HELP}"
            )
        return root

    def _read_annotation_file(self, folder: Path) -> list[str]:
        file = Path(self.ann_file)
        if not file.is_file():
            raise DataNotFoundError(
                f"there is no annotation file '{file}'; set ann_file='' to read all images of the"
                f" folder. {_LAYOUT_HELP}"
            )
        paths = read_image_list(file, folder)
        if paths and not os.path.isfile(paths[0]):
            raise DataNotFoundError(
                f"'{file}' lists '{paths[0]}', which does not exist; its paths must be relative to"
                f" '{folder}'. {_LAYOUT_HELP}"
            )
        return paths


def find_images(folder: str | Path) -> list[str]:
    """Paths of all image files under a folder, sorted; linked folders are followed."""
    return sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(IMAGE_SUFFIXES)
    )


def read_image_list(file: Path, folder: Path) -> list[str]:
    """Paths of the images that ``file`` lists, one per line, relative to ``folder``.

    A label after the path is ignored.
    """
    paths = []
    for line in filter(None, map(str.strip, file.read_text().splitlines())):
        name = line if line.lower().endswith(IMAGE_SUFFIXES) else line.rsplit(maxsplit=1)[0]
        paths.append(str(folder / name))
    return paths


_LAYOUT_HELP = (
    "Lay the data out as ROOT/train/CLASS/IMAGE.JPEG, or put images into any folder, and give it"
    " with --data-root."
)
