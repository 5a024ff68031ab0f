"""Images of a folder or of archives, without labels."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ..archives import HUB, ImageArchive, archives_of, image_exists
from ..errors import DataNotFoundError, SplitError
from ..file_names import printable
from ..registry import DATASETS
from ..wording import counted
from .archive_images import archive_images
from .archive_places import (
    ArchivePlace,
    describe_foreign,
    describe_unread,
    is_archive_place,
    list_of_archive,
    with_split,
)
from .image_files import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from .image_files import find_images as find_images
from .image_files import suffixes_of_pipeline
from .image_lists import read_image_list
from .replacement import check_on_corrupt, prepare_or_name_cause, prepare_or_replace
from .single_paths import check_local_paths, check_single_paths
from .split_places import FolderImages, find_split
from .splits import normal_split, plain_split


@DATASETS.register_module()
class UnlabeledImageFolder(BaseDataset):
    """All images of a folder of any depth (see :func:`scan_images`), or of archives.

    With ``bands`` in the loading transform, these include NumPy and DICOM files.

    Args:
        data_root: the folder. If it has a sub-folder ``data_prefix['img_path']`` (``train`` in our
            recipes), or archives of this name, only these are read; a plain folder of images works
            as well. Also an archive, or a folder or pattern of archives; see :func:`find_split`
            and :func:`find_archives`.
        ann_file: optional text file, relative to ``data_root`` or to the folder of the archive,
            with one image path per line, relative to the folder or archive that is read; a label
            after the path is ignored.
        data_prefix: ``dict(img_path=...)``, the sub-folder.
        on_corrupt: ``'stop'`` the run at the first corrupt image (see
            :func:`prepare_or_name_cause`), or ``'replace'`` it with another sample (see
            :func:`replacement_index`), recorded for :class:`CorruptImageHook`; choose it together
            with the hook. Ignored in test mode.
        **kwargs: of MMEngine's ``BaseDataset`` (``pipeline``, ``indices``, ...).

    Raises:
        ValueError: another ``on_corrupt``, no ``data_root``, a URL, or several paths instead of
            one.
        DataNotFoundError: the folder, the annotation file or the first image that it lists is
            missing, or there is no image at all.
    """

    METAINFO = dict(classes=None)

    def __init__(
        self,
        data_root: str,
        ann_file: str = "",
        data_prefix: dict | str = "",
        on_corrupt: str = "stop",
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        check_on_corrupt(name, on_corrupt)
        paths: dict[str, Any] = dict(
            data_root=data_root, data_prefix=data_prefix, ann_file=ann_file
        )
        check_single_paths(name, **paths)
        check_local_paths(name, **paths)
        if data_root is None:
            raise ValueError(f"{name}: data_root=None must be the folder of the images")
        self.on_corrupt = on_corrupt
        if not isinstance(data_prefix, dict):
            data_prefix = dict(img_path=data_prefix)
        data_prefix = dict(img_path="") | data_prefix
        self.split = data_prefix["img_path"]
        self.archives: tuple[ImageArchive, ...] = ()
        data_root = os.path.expanduser(data_root)
        super().__init__(
            data_root=data_root,
            ann_file=list_of_archive(data_root, ann_file),
            data_prefix=data_prefix,
            **kwargs,
        )

    def prepare_data(self, idx: int) -> Any:
        """Load and transform sample ``idx``, or the replacement of a corrupt image."""
        if self.on_corrupt == "stop" or self.test_mode:
            return self._prepare(idx)
        return prepare_or_replace(self._prepare, idx, len(self))

    def _prepare(self, idx: int) -> Any:
        return prepare_or_name_cause(super().prepare_data, idx, self)

    def _join_prefix(self) -> None:
        """Join the paths of data on a disk; a data set of the hub has no folders."""
        if self.data_root.startswith(HUB):
            self.data_prefix = dict(img_path="")
        else:
            super()._join_prefix()

    def load_data_list(self) -> list[dict]:
        """Return one ``dict(img_path=...)`` per image, in sorted order."""
        is_archive = is_archive_place(self.data_root)
        suffixes = suffixes_of_pipeline(self.pipeline)
        if not is_archive:
            self._check_root()
        if self.ann_file:
            paths = self._read_list(is_archive)
        else:
            try:
                place = find_split(self.data_root, self.split, suffixes)
                paths = self._read_images(place, suffixes)
            except SplitError as error:
                if plain_split(normal_split(self.split)) != "train":
                    raise  # all would include the training images
                raise SplitError(error.cause, f"{error.remedy}; {_READ_ALL}") from error
        return [dict(img_path=path) for path in paths]

    def _read_list(self, is_archive: bool) -> list[str]:
        folder = self.data_prefix["img_path"]
        if is_archive:
            folder = with_split(self.data_root, self.split)
        elif not os.path.isdir(folder):
            folder = self.data_root
        paths = self._read_annotation_file(folder)
        if not paths:
            raise DataNotFoundError(f"the list '{printable(self.ann_file)}' contains no images")
        print_log(
            f"{counted(len(paths), 'image')} in '{printable(folder)}', listed in"
            f" '{printable(self.ann_file)}'",
            "current",
        )
        return paths

    def _read_images(
        self, place: FolderImages | ArchivePlace, suffixes: Sequence[str]
    ) -> list[str]:
        if isinstance(place, ArchivePlace):
            found = archive_images(place, suffixes=suffixes)
            self.archives = found.archives
            return found.paths
        if not place.paths:
            raise DataNotFoundError(
                f"no images in '{printable(self.data_root)}' or its sub-folders (looked for"
                f" {' '.join(suffixes)}){describe_foreign(self.data_root)}. {_LAYOUT_HELP}"
            )
        return place.paths

    def _check_root(self) -> None:
        root = Path(self.data_root)
        if root.is_file():
            raise DataNotFoundError(f"'{printable(root)}' {describe_unread(self.data_root)}")
        if not root.is_dir():
            raise DataNotFoundError(f"there is no folder '{printable(root)}'. {_LAYOUT_HELP}")

    def _read_annotation_file(self, folder: str | Path) -> list[str]:
        file = Path(self.ann_file)
        if not file.is_file():
            raise DataNotFoundError(
                f"there is no annotation file '{printable(file)}'; set ann_file='' to read all"
                f" images of the folder. {_LAYOUT_HELP}"
            )
        paths = read_image_list(file, folder)
        if paths and not image_exists(paths[0]):
            raise DataNotFoundError(
                f"'{printable(file)}' lists '{printable(paths[0])}', which does not exist; its"
                f" paths must be relative to '{printable(folder)}'. {_LAYOUT_HELP}"
            )
        self.archives = archives_of(paths)
        return paths


_READ_ALL = (
    "data_prefix='' reads all (--cfg-options train_dataloader.dataset.data_prefix.img_path=)"
)
_LAYOUT_HELP = (
    "Arrange the data as ROOT/train/CLASS/IMAGE.JPEG, or put images into any folder, and set it"
    " with --data-root."
)
