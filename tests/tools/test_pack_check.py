"""Comparison of packs with what was written, and places that packs do not replace."""

import os
import signal
import tarfile
from importlib import import_module

import lmdb
import pytest
from archive_files import class_files, image_bytes, write_tar
from packs import KINDS, pack, write_folder
from tool_runs import TOOLS

from mim_plugins.archives.tar_archive import TarArchive
from mim_plugins.checkpoints import writing


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS / "dataset_converters")
    return import_module


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["image", "label", "classes"])
def test_pack_that_would_be_read_differently_is_removed(
    tmp_path, modules, monkeypatch, kind, fault
):
    writers = modules("pack_writers").WRITERS

    class Faulty(writers[kind]):
        def __init__(self, path, images, classes):
            super().__init__(path, images, ["x", "y"] if fault == "classes" else classes)

        def add(self, image, data):
            name = image.name.replace("a/", "x/") if fault == "classes" else image.name
            name = name.replace("a/1", "b/1x") if fault == "label" else name
            label = 1 if fault == "label" else image.label
            if fault != "image" or image.name != "b/1.png":
                super().add(image._replace(name=name, label=label), data)

    monkeypatch.setitem(writers, kind, Faulty)
    write_folder(tmp_path / "in", class_files())
    message = pack(tmp_path / "in", tmp_path / f"out.{kind}", code=1).stderr
    assert "error: the new pack would be read with " in message
    if fault != "classes":
        assert ("3 of 4 images" in message) == (fault == "image")
    assert not list(tmp_path.glob("out*"))


def test_file_that_appears_meanwhile_is_not_replaced(tmp_path, modules, monkeypatch):
    source = modules("pack_source")
    list_source, out = source.list_source, tmp_path / "out.tar"

    def write_other(given):
        out.write_text("other")
        return list_source(given)

    monkeypatch.setattr(source, "list_source", write_other)
    write_folder(tmp_path / "in", class_files())
    message = pack(tmp_path / "in", out, code=1).stderr
    assert f"error: OUT '{out}' was written by another program meanwhile" in message
    assert out.read_text() == "other"
    assert sorted(os.listdir(tmp_path)) == ["in", "out.tar"]


def test_broken_link_is_not_replaced(tmp_path):
    (tmp_path / "out.tar").symlink_to("nowhere")
    assert "exists: remove it" in pack(tmp_path, tmp_path / "out.tar", code=2).stderr


def test_broken_archive_of_a_list_is_opened_once(tmp_path, monkeypatch):
    write_tar(tmp_path / "a.tar", {f"{index}.png": image_bytes(index) for index in range(4)})
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:3000])
    write_folder(tmp_path, {"ok.png": image_bytes()})
    lines = [*(f"a.tar::{index}.png" for index in range(4)), "ok.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    opened, read_index = [], TarArchive.read_index
    monkeypatch.setattr(
        TarArchive, "read_index", lambda self: (opened.append(self.path), read_index(self))
    )
    message = pack(tmp_path / "list.txt", tmp_path / "out.tar", code=1).stderr
    assert "4 images were left out: '" in message
    assert f"a.tar::3.png': unreadable ('{tmp_path}/a.tar' is no complete tar" in message
    assert opened.count(str(tmp_path / "a.tar")) == 1


def test_errors_of_lmdb_are_one_line(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise lmdb.MemoryError("out.lmdb: Cannot allocate memory")

    monkeypatch.setattr(lmdb, "open", fail)
    write_folder(tmp_path / "in", class_files())
    message = pack(tmp_path / "in", tmp_path / "out.lmdb", code=1).stderr
    assert "Cannot allocate memory: LMDB needs 4 TiB of address space; remove" in message
    assert not list(tmp_path.glob("out*"))


def test_interrupt_is_one_line_without_a_pack(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfile.TarFile, "addfile", interrupt)
    write_folder(tmp_path / "in", class_files())
    message = pack(tmp_path / "in", tmp_path / "out.tar", code=130).stderr
    assert message.splitlines()[-1] == "interrupted by Ctrl-C: no pack was written"
    assert not list(tmp_path.glob("out*"))


def test_interrupt_after_the_pack_is_complete_is_stated(tmp_path, monkeypatch):
    flush = writing._flush

    def interrupt(path, flags):
        if path == tmp_path:
            raise KeyboardInterrupt
        flush(path, flags)

    monkeypatch.setattr(writing, "_flush", interrupt)
    write_folder(tmp_path / "in", class_files())
    message = pack(tmp_path / "in", out := tmp_path / "out.tar", code=130).stderr
    line = f"interrupted by Ctrl-C: OUT '{out}' was written; left-out images are not listed"
    assert message.splitlines()[-1] == line
    with tarfile.open(out) as archive:
        assert archive.getnames() == list(class_files())


def test_sigterm_removes_the_unfinished_pack(tmp_path, monkeypatch):
    monkeypatch.setattr(tarfile.TarFile, "addfile", lambda *_: signal.raise_signal(signal.SIGTERM))
    write_folder(tmp_path / "in", class_files())
    before = signal.getsignal(signal.SIGTERM)
    pack(tmp_path / "in", tmp_path / "out.tar", code=128 + signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert not list(tmp_path.glob("out*"))
