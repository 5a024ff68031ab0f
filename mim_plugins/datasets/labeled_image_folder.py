"""Labeled images, in one folder per class, listed in a file, or in archives."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from ..archives import HUB, ImageArchive, archives_of
from ..errors import DataNotFoundError, SplitError
from ..file_names import printable, read_lines
from ..registry import DATASETS
from .archive_images import archive_images
from .archive_places import (
    ArchivePlace,
    describe_foreign,
    describe_unread,
    is_archive_place,
    list_of_archive,
    with_split,
)
from .image_files import scan_images, suffixes_of_pipeline
from .image_lists import paths_in, read_image_list, read_labeled_list
from .images_by_class import images_by_class
from .labeled_dataset import LabeledDataset
from .single_paths import check_local_paths, check_single_paths
from .split_places import find_split
from .splits import SPLITS, normal_split


@DATASETS.register_module()
class LabeledImageFolder(LabeledDataset):
    """Labeled images, in one folder per class, listed in a file, or in archives.

    Arguments and labels are those of mmpretrain's ``CustomDataset``, but images are found by
    :func:`scan_images`. Hidden folders are therefore no classes, a link to a folder above does not
    list images again, and pipes and devices are not opened.

    Args:
        data_root: folder that ``data_prefix`` and ``ann_file`` are relative to; or an archive, or
            a folder or pattern of archives, see :func:`find_archives` and :func:`archive_images`.
        data_prefix: folder of the images, or ``dict(img_path=...)``. Its sub-folders are the
            classes, numbered in sorted order. If ``train`` or ``val`` contains images, but no class
            folders of images, the list ``meta/SPLIT.txt`` in ``data_root`` is read if it exists.
        ann_file: text file with lines ``PATH LABEL``, relative to the folder of the images,
            instead of class folders.
        split: ``'train'``, ``'val'`` or ``'test'``, instead of ``data_prefix``. The list
            ``meta/SPLIT.txt`` in ``data_root`` is then read if it exists. ``'test'`` has no labels.
        with_label: whether to read labels; otherwise all images under the folder or of the list.
        extensions: suffixes of image files; by default those that the loading transform reads.
        classes: names of the classes, or a text file with one per line; by default those of the
            folders.
        metainfo: of MMEngine's ``BaseDataset``; it may contain ``classes``.
        **kwargs: of MMEngine's ``BaseDataset`` (``pipeline``, ``indices``, ...).

    Raises:
        ValueError: another ``split``, a URL or several paths instead of one, a string as
            ``extensions``, a list with other lines, another number of class folders than
            ``classes``, or one folder in two classes.
        DataNotFoundError: the folder, the list or the target of a class folder's link is missing,
            there is no image at all, or the data are another split of the hub than ``split``.
    """

    def __init__(
        self,
        data_root: str = "",
        data_prefix: str | dict = "",
        ann_file: str = "",
        split: str = "",
        with_label: bool = True,
        extensions: Sequence[str] | None = None,
        classes: str | Sequence[str] | None = None,
        metainfo: dict | None = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        paths: dict[str, Any] = dict(
            data_root=data_root, data_prefix=data_prefix, ann_file=ann_file
        )
        check_single_paths(name, **paths)
        check_local_paths(name, hub=("data_root", "data_prefix"), **paths)
        data_root, ann_file = map(os.path.expanduser, (data_root or "", ann_file or ""))
        prefix = data_prefix.get("img_path", "") if isinstance(data_prefix, dict) else data_prefix
        prefix = os.fspath(prefix or "")
        if split:
            if split not in SPLITS:
                raise ValueError(f"{name}: split={split!r} must be one of {SPLITS}")
            with_label = with_label and split != "test"
            prefix = with_split(prefix, split, strict=True) or split
            listed = os.path.join("meta", f"{split}.txt")
            if not ann_file and os.path.isfile(os.path.join(data_root, listed)):
                ann_file = listed
        if not (data_root or prefix or ann_file):
            raise ValueError(f"{name}: give data_root, data_prefix or ann_file")
        if isinstance(extensions, str):
            raise ValueError(
                f"{name}: extensions={extensions!r} must be a list of suffixes, such as"
                f" [{extensions!r}]"
            )
        self.with_label = with_label
        self.extensions = extensions
        self.split = os.path.expanduser(prefix)
        self.archives: tuple[ImageArchive, ...] = ()
        if classes is not None:
            names = read_lines(os.path.expanduser(classes)) if isinstance(classes, str) else classes
            metainfo = dict(classes=tuple(names)) | (metainfo or {})
        super().__init__(
            ann_file=list_of_archive(data_root, ann_file),
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(img_path=self.split),
            **kwargs,
        )

    def _join_prefix(self) -> None:
        """Join the paths of data on a disk; a data set of the hub has no folders."""
        if self.data_root.startswith(HUB):
            self.data_prefix = dict(img_path="")
        else:
            super()._join_prefix()

    def load_data_list(self) -> list[dict]:
        """Return one ``dict(img_path=...)`` per image, with ``gt_label`` where there are labels."""
        given = self.extensions
        self.suffixes = (
            suffixes_of_pipeline(self.pipeline)
            if given is None
            else tuple(suffix.lower() for suffix in given)
        )
        root, split = (self.data_root, self.split) if self.data_root else (self.split, "")
        is_archive = is_archive_place(root)
        folder = Path(self.data_prefix["img_path"] or root)
        if self.ann_file:
            return self._read_list(with_split(root, split, strict=True) if is_archive else folder)
        if os.path.isfile(root) and not is_archive:
            raise DataNotFoundError(f"'{printable(root)}' {describe_unread(root)}")
        is_folder = not is_archive and folder.is_dir()
        if found := self._read_folders([folder] if is_folder else []):
            return found
        is_root = is_archive or os.path.isdir(root)
        place = find_split(root, split, self.suffixes, strict=True) if is_root else None
        if isinstance(place, ArchivePlace):
            return self._read_archives(place)
        others = [each for each in map(Path, place.folders if place else ()) if each != folder]
        if found := self._read_folders(others):
            return found
        name, unread = type(self).__name__, describe_foreign(root)
        if not is_folder and not others:
            cause = f"'{printable(root)}' has no folder '{printable(split)}'{unread}"
            raise SplitError(cause, _LAYOUT)
        where = "the class folders of " if self.with_label else ""
        raise DataNotFoundError(
            f"{name}: no images in {where}'{printable([folder, *others][-1])}' (looked for"
            f" {' '.join(self.suffixes)}){unread}. {_LAYOUT}"
        )

    def _read_archives(self, place: ArchivePlace) -> list[dict]:
        found = archive_images(place, self.with_label, strict=True, suffixes=self.suffixes)
        self.archives = found.archives
        if found.labels is None:
            return [dict(img_path=path) for path in found.paths]
        if found.classes is not None:
            self._name_classes(found.classes, place.archives[0])
        return [
            dict(img_path=path, gt_label=label)
            for path, label in zip(found.paths, found.labels, strict=True)
        ]

    def _read_list(self, folder: str | Path) -> list[dict]:
        if not os.path.isfile(self.ann_file):
            raise DataNotFoundError(
                f"{type(self).__name__}: there is no list '{printable(self.ann_file)}'; omit"
                f" ann_file to read class folders. {_LAYOUT}"
            )
        if self.with_label:
            entries = read_labeled_list(self.ann_file)
            paths = paths_in(folder, [name for name, _ in entries])
            found: list[dict] = [
                dict(img_path=path, gt_label=label)
                for path, (_, label) in zip(paths, entries, strict=True)
            ]
        else:
            found = [dict(img_path=path) for path in read_image_list(self.ann_file, folder)]
        if not found:
            raise DataNotFoundError(
                f"{type(self).__name__}: the list '{printable(self.ann_file)}' contains no images"
            )
        self.archives = archives_of(each["img_path"] for each in found)
        return found

    def _read_folders(self, folders: Sequence[Path]) -> list[dict]:
        """Return the images of a folder, or of several with the same classes."""
        classes: dict[str, list[str]] = {}
        split, has_images = normal_split(self.split), False
        for folder in folders:
            if self.with_label:
                found, scan = images_by_class(folder, self.suffixes)
            else:
                scan = scan_images(folder, self.suffixes)
                found = {"": scan.paths}
            scan.warn_of_left_out(folder)
            has_images |= bool(scan.paths)
            for name, paths in found.items():
                classes.setdefault(name, []).extend(os.path.join(folder, name, p) for p in paths)
        if not self.with_label:
            return [dict(img_path=path) for path in classes.get("", ())]
        listed = os.path.join(self.data_root, "meta", f"{split}.txt")
        is_flat = has_images and not any(classes.values())
        if is_flat and split in ("train", "val") and os.path.isfile(listed):
            print_log(f"labels of '{printable(folders[0])}': '{printable(listed)}'", "current")
            self.ann_file = listed
            return self._read_list(folders[0])
        if any(classes.values()):
            self._name_classes(tuple(sorted(classes)), folders[0])
        empty = [printable(name) for name, paths in classes.items() if not paths]
        if empty and len(empty) < len(classes):
            print_log(
                f"{len(empty)} class folders of '{printable(folders[0])}' have no images, such as"
                f" {', '.join(empty[:3])}",
                logger="current",
                level=logging.WARNING,
            )
        return [
            dict(img_path=path, gt_label=label)
            for label, (_, paths) in enumerate(sorted(classes.items()))
            for path in paths
        ]

    def _name_classes(self, classes: tuple[str, ...], place: str | Path) -> None:
        """Compare class folders with given class names, or use them as names."""
        given = self._metainfo.get("classes")
        if given is not None and len(given) != len(classes):
            raise ValueError(
                f"{type(self).__name__}: '{printable(place)}' has {len(classes)} class folders,"
                f" but {len(given)} class names are given ({', '.join(map(str, given[:2]))}, ...):"
                " set the folders' names, or type='mim_plugins.LabeledImageFolder' without classes"
            )
        if given is None:
            self._metainfo["classes"] = classes
        # mmpretrain's name; two data sets with the same class names may have other folders
        self.folder_to_idx = {name: label for label, name in enumerate(classes)}


_LAYOUT = (
    "Arrange the data as ROOT/train/CLASS/IMAGE.JPEG and ROOT/val/CLASS/IMAGE.JPEG, and set ROOT"
    " with --data-root."
)
