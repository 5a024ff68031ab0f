"""Small disks that fill up, become read-only or get lost, and shared ones."""

import contextlib
import os
import shutil
import subprocess

import pytest


class SmallDisk:
    """Separate file system in a folder, which a test may break and repair."""

    def __init__(self, folder):
        self.folder = folder

    def fill(self):
        # in small pieces as well: to the last block
        for name, size in (("filler", 2**16), ("filler2", 2**10)):
            with contextlib.suppress(OSError), (self.folder / name).open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(size))

    def make_room(self):
        for name in ("filler", "filler2"):
            (self.folder / name).unlink(missing_ok=True)

    def freeze(self):
        # over itself, because files that are open keep the file system as it is
        _mount("--bind", self.folder, self.folder)
        _mount("-o", "remount,ro,bind", self.folder)

    def thaw(self):
        _umount(self.folder)


def lose_answers_of_links(monkeypatch):
    """Repeat each hard link that is made, as NFS does if the first answer is lost."""
    link = os.link

    def link_twice(*paths):
        link(*paths)
        link(*paths)

    monkeypatch.setattr(os, "link", link_twice)


@contextlib.contextmanager
def small_disk(folder, size="8m"):
    """Mount a :class:`SmallDisk`, or skip the test where that is not allowed."""
    folder.mkdir(parents=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        _umount(folder)


def _umount(folder):
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def _mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def lose(folder):
    """Remove a folder with its content, as another program might."""
    shutil.rmtree(folder)
