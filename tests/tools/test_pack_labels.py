"""Labels of packs, which are those of the source."""

import shutil

import pytest
from archive_files import class_files, image_bytes, write_parquet, write_tar
from packs import KINDS, contents, pack, write_folder

from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder


def labels_by_content(place):
    dataset = LabeledImageFolder(str(place))
    return dict(zip(contents(dataset), dataset.get_gt_labels().tolist(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", ["abc", "abz", "ab"])
def test_class_of_unreadable_images_shifts_no_labels(tmp_path, kind, classes):
    files = class_files(classes=classes, images=2) | {"b/0.JPEG": image_bytes(90, kind="JPEG")}
    lost = dict(abc="b", abz="z", ab="a")[classes]
    bad = {name: data[:300] for name, data in files.items() if name.startswith(lost)}
    write_folder(tmp_path / "in", files | bad)
    out = tmp_path / f"out.{kind}"
    options = ("--short-side", 500, "--workers", 1)
    assert f"{len(classes)} classes" in pack(tmp_path / "in", out, *options, code=1).stdout
    kept = {data: classes.index(name[0]) for name, data in files.items() if name not in bad}
    assert labels_by_content(out) == kept


@pytest.mark.parametrize("kind", ["tar", "lmdb"])
def test_class_of_rows_without_a_suffix_shifts_no_labels(tmp_path, kind):
    files = {"a/0": image_bytes(0), "b/0": b"\0\0\0\x1cftypavif", "c/0": image_bytes(2)}
    write_parquet(tmp_path / "in.parquet", files)
    assert "no suffix" not in pack(tmp_path / "in.parquet", tmp_path / f"o.{kind}", code=1).stdout
    assert labels_by_content(tmp_path / f"o.{kind}") == {image_bytes(0): 0, image_bytes(2): 2}


@pytest.mark.parametrize("kind", KINDS)
def test_single_class_keeps_its_label(tmp_path, kind):
    files = {f"only/{name}/0.png": image_bytes(n) for n, name in enumerate("ab")}
    write_folder(tmp_path / "in", files)
    printed = pack(tmp_path / "in", out := tmp_path / f"out.{kind}")
    assert "2 images, 1 classes" in printed.stdout
    warning = "'only' is one class; if its folders, such as 'a', are the classes, pack"
    assert f"{warning} '{tmp_path}/in/only/'" in printed.stderr
    assert f"checking {out}" in printed.stderr
    assert labels_by_content(out) == dict.fromkeys(files.values(), 0)
    assert "warning" not in pack(tmp_path / "in/only", tmp_path / f"two.{kind}").stderr


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", ["", " 0"])
@pytest.mark.parametrize("data", [".in/data", "imagenet/train"])
def test_absolute_paths_of_lists_keep_classes_and_labels(tmp_path, kind, label, data):
    files = class_files(classes="ac", images=1)
    folder = write_folder(tmp_path / data, files)
    (tmp_path / "lists").mkdir()
    lines = "".join(f"{folder}/{name}{label}\n" for name in files)
    (tmp_path / "lists/list.txt").write_text(lines)
    pack(tmp_path / "lists/list.txt", out := tmp_path / f"out.{kind}")
    expected = [0, 0] if label else [0, 1]
    assert labels_by_content(out) == dict(zip(files.values(), expected, strict=True))
    if not label:
        assert LabeledImageFolder(str(out)).CLASSES == ("a", "c")
    assert len(UnlabeledImageFolder(str(out))) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["__background__", "train"])
def test_classes_with_special_names_are_kept(tmp_path, kind, name):
    names = (name, "ant", "cat", "dog", "zebra")
    files = class_files(classes=names, images=1)
    write_folder(tmp_path / "in", files)
    pack(tmp_path / "in", out := tmp_path / f"out.{kind}")
    assert labels_by_content(out) == labels_by_content(tmp_path / "in")
    assert tuple(sorted(names)) == LabeledImageFolder(str(out)).CLASSES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["folder", "archive"])
def test_only_split_of_a_source_keeps_its_classes(tmp_path, kind, source):
    files = class_files("data/train", classes="ac")
    given = write_folder(tmp_path / "in", files)
    if source == "archive":
        write_tar(given := tmp_path / "in.tar", files)
    else:
        (given / "data/train/b").mkdir()
    pack(given, out := tmp_path / f"out.{kind}")
    last = 1 if source == "archive" else 2
    expected = {data: last * ("/c/" in name) for name, data in files.items()}
    assert labels_by_content(out) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_classes_without_images_of_an_archive_are_kept(tmp_path, kind):
    files = class_files("train", classes="ac")
    folder = write_folder(tmp_path / "in", files)
    (folder / "train/b").mkdir()
    archive = shutil.make_archive(str(tmp_path / "in"), "tar", folder)
    pack(archive, out := tmp_path / f"out.{kind}")
    assert labels_by_content(out) == {data: 2 * ("/c/" in name) for name, data in files.items()}


def test_split_that_is_a_class_by_other_folders_is_a_warning(tmp_path):
    write_folder(tmp_path / "in", class_files("train") | {"masks/0.png": b"1"})
    printed = pack(tmp_path / "in", tmp_path / "out.tar")
    assert "5 images, 2 classes" in printed.stdout
    assert "'train' is one class; if its folders, such as 'a', are the classes" in printed.stderr
    assert f"pack '{tmp_path}/in/train/'" in printed.stderr
