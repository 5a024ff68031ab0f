"""Search for image files in folders, shared by all data sets and tools that read folders."""

import logging
import os
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.logging import print_log

from ..archives import archive_of, is_metadata
from ..archives.handles import file_identity
from ..errors import DataNotFoundError
from ..file_names import printable
from ..transforms.load_image import loader_of

IMAGE_SUFFIXES = (
    ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
BAND_SUFFIXES = (*IMAGE_SUFFIXES, ".dcm", ".dicom", ".npy", ".npz")
"""Suffixes of the files that :class:`Bands` reads."""

# names that operating systems, network drives and archivers add; a leading dot also hides a name
_HIDDEN = (
    "#recycle", "#snapshot", "$recycle.bin", "@__thumb", "@eadir", "@recently-snapshot",
    "@recycle", "@sharebin", "@snapshots", "@tmp", "__macosx", "__pycache__", "_thumbs",
    "lost+found", "network trash folder", "recycler", "system volume information",
    "temporary items", "thumbs.db", "~snapshot",
)  # fmt: skip
_NUMBERED_HIDDEN = re.compile(r"found\.\d{3}|@syno\w*")  # of Windows' disk check and Synology
HIDDEN_FILES, HIDDEN_FOLDERS = "hidden image files", "hidden folders"
CYCLES, REPEATED = "links to a folder above them", "links into folders read already"
BROKEN, SPECIAL = "broken links", "devices, pipes or sockets"
UNREADABLE = "unreadable folders"
ARCHIVES = "archives, because the folder contains images, too"


class ImageScan(NamedTuple):
    """Result of :func:`scan_images`."""

    paths: list[str]
    """Image files, sorted."""
    sub_folders: list[str]
    """Names of the folders directly under the scanned folder, links included, sorted."""
    left_out: dict[str, list[str]]
    """Paths that were not followed or read, by kind."""
    read_as: dict[str, str]
    """For each path that was not followed again, the path by which the same folder was read."""

    def describe_left_out(self) -> str:
        """Return number and first example of the skipped paths by kind, in one line, or ``""``."""
        return "; ".join(
            f"{len(paths)} {kind} (such as '{printable(paths[0])}')"
            for kind, paths in sorted(self.left_out.items())
            if kind != ARCHIVES or self.paths
        )

    def warn_of_left_out(self, folder: str | Path) -> None:
        """Log a warning if paths in ``folder`` were skipped."""
        text = self.describe_left_out()
        if text:
            print_log(f"left out of '{printable(folder)}': {text}", "current", logging.WARNING)


def find_images(folder: str | Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[str]:
    """Return the paths of all image files under a folder, sorted; see :func:`scan_images`."""
    return scan_images(folder, suffixes).paths


def suffixes_read(bands: Any) -> tuple[str, ...]:
    """Return the suffixes of the files that a loading transform with ``bands`` or None reads."""
    return IMAGE_SUFFIXES if bands is None else BAND_SUFFIXES


def suffixes_of_pipeline(pipeline: Any) -> tuple[str, ...]:
    """Return the suffixes of the files that the loading transform of a built pipeline reads."""
    return suffixes_read(loader_of(pipeline).bands)


def scan_images(folder: str | Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> ImageScan:
    """Find all image files under a folder, at any depth.

    Every real folder is read once, however many links lead to it: by its own path if it is under
    ``folder``, otherwise through the first link. A link to a folder above itself or above
    ``folder`` is not followed. An image is a regular file, or a link to one, with one of
    ``suffixes`` (given in lower case) in any case. Hidden files and folders are left out, see
    :func:`is_hidden`.

    Raises:
        DataNotFoundError: ``folder`` cannot be read.
    """
    walk = _Walk(os.fspath(folder), tuple(suffixes))
    walk.run()
    return ImageScan(sorted(walk.paths), walk.sub_folders, walk.left_out, walk.read_as)


def is_hidden(name: str) -> bool:
    """Return whether a name begins with a dot or belongs to an operating system."""
    lower = name.lower()
    return name.startswith(".") or lower in _HIDDEN or bool(_NUMBERED_HIDDEN.fullmatch(lower))


class _Walk:
    """Traversal of the folders under ``root``."""

    def __init__(self, root: str, suffixes: tuple[str, ...]) -> None:
        self.root = root
        self.real_root = os.path.realpath(root)
        self.suffixes = suffixes
        self.paths: list[str] = []
        self.sub_folders: list[str] = []
        self.left_out: dict[str, list[str]] = {}
        self.read_as: dict[str, str] = {}
        # pairs of path and real path; links wait until all real folders are read
        self._folders = deque([(root, self.real_root)])
        self._links: deque[tuple[str, str]] = deque()

    def run(self) -> None:
        visited: dict[object, str] = {}
        while self._folders or self._links:
            path, real = (self._folders or self._links).popleft()
            identity = file_identity(real)
            if identity in visited:
                self._leave_out(REPEATED, path)
                self.read_as[path] = visited[identity]
                continue
            visited[identity] = path
            for entry in self._entries(path):
                if is_folder(entry):
                    self._visit_folder(entry, path, real)
                else:
                    self._visit_file(entry)

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if path != self.root:
                self._leave_out(UNREADABLE, path)
                return []
            raise DataNotFoundError(
                f"the folder '{printable(path)}' cannot be read ({error.strerror or error})"
            ) from error

    def _visit_folder(self, entry: os.DirEntry[str], parent: str, real_parent: str) -> None:
        if is_hidden(entry.name):
            return self._leave_out(HIDDEN_FOLDERS, entry.path)
        if not entry.is_symlink():
            self._folders.append((entry.path, os.path.join(real_parent, entry.name)))
        else:
            try:
                target = os.path.realpath(entry.path)
            except OSError:
                return self._leave_out(UNREADABLE, entry.path)
            if any(_contains(target, folder) for folder in (real_parent, self.real_root)):
                return self._leave_out(CYCLES, entry.path)
            self._links.append((entry.path, target))
        if parent == self.root:
            self.sub_folders.append(entry.name)

    def _visit_file(self, entry: os.DirEntry[str]) -> None:
        is_image = entry.name.lower().endswith(self.suffixes)
        if is_hidden(entry.name):
            if is_image:
                self._leave_out(HIDDEN_FILES, entry.path)
        elif entry.is_symlink() and not os.path.exists(entry.path):
            self._leave_out(BROKEN, entry.path)  # under any name: it may have been a folder
        elif is_image and is_file(entry):
            self.paths.append(entry.path)
        elif is_image:
            self._leave_out(SPECIAL, entry.path)
        elif (archive := archive_of(entry.path)) and not is_metadata(archive):
            self._leave_out(ARCHIVES, archive)

    def _leave_out(self, kind: str, path: str) -> None:
        self.left_out.setdefault(kind, []).append(path)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a regular file or a link to one."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _contains(folder: str, other: str) -> bool:
    """Return whether ``other`` is the folder or below it; both are real paths."""
    return other == folder or other.startswith(folder.rstrip(os.sep) + os.sep)
