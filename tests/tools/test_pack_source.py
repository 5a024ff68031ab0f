"""Images and labels of the sources of packs."""

from importlib import import_module

import pytest
from archive_files import class_files, image_bytes, write_archive, write_parquet, write_tar
from packs import KINDS, contents, pack, write_folder
from tool_runs import TOOLS

from mim_plugins.archives import read_image_file
from mim_plugins.datasets import LabeledImageFolder, UnlabeledImageFolder
from mim_plugins.errors import DataNotFoundError


@pytest.fixture
def list_source(monkeypatch):
    monkeypatch.syspath_prepend(TOOLS / "dataset_converters")
    return lambda path: import_module("pack_source").list_source(str(path))


def labeled_contents(place, **options):
    dataset = LabeledImageFolder(str(place), **options)
    return sorted(zip(contents(dataset), dataset.get_gt_labels(), strict=True))


def tree(root, kind, files):
    """Write files, and folders whose names end in a slash, into ROOT/in or an archive."""
    root.mkdir(exist_ok=True)
    if kind == "zip":
        return write_archive(root / "in.zip", files, kind)
    for name, data in files.items():
        path = root / "in" / name.partition("/")[2]
        folder = path if name.endswith("/") else path.parent
        folder.mkdir(parents=True, exist_ok=True)
        if folder != path:
            path.write_bytes(data)
    return root / "in"


@pytest.mark.parametrize(
    ("archives", "splits"),
    [
        (["train-0-of-1.parquet", "validation-0-of-1.parquet"], "train, val"),
        (["train.tar", "val.tar"], "train, val"),
        (["test.zip", "train_0.tar", "train_1.tar"], "test, train"),
        (["train_shard_00.tar", "val_shard_00.tar"], "train, val"),
        (["train/0.tar", "valid/0.tar"], "train, val"),
    ],
)
def test_splits_in_several_archives_are_not_mixed(list_source, tmp_path, archives, splits):
    for name in archives:
        write_archive(tmp_path / name, class_files(), name.rpartition(".")[2])
    place = tmp_path / "*/*" if "/" in archives[0] else tmp_path
    with pytest.raises(DataNotFoundError, match=f"contains the splits {splits}, which a pack"):
        list_source(place)


@pytest.mark.parametrize("kind", ["folder", "tar", "tars"])
def test_classes_with_the_word_of_a_split_keep_labels(list_source, tmp_path, kind):
    classes = ["ant", "bee", "bullet_train", "cat", "crash_test", "dog"]
    files = class_files(classes=classes, images=1)
    if kind == "folder":
        source = write_folder(tmp_path / "in", files)
    elif kind == "tar":
        source = write_archive(tmp_path / "in.tar", files, "tar")
    else:
        for name, image in files.items():
            write_archive(tmp_path / f"in/{name[:-6]}.tar", {name: image}, "tar")
        source = tmp_path / "in"
    found = list_source(source)
    assert (found.classes, found.splits) == (tuple(classes), ())
    assert [image.label for image in found.images] == list(range(6))


def test_archives_of_one_split_are_packed_together(list_source, tmp_path):
    for number in range(2):
        write_tar(
            tmp_path / f"train-{number}.tar", {f"a/{number}.png": b"", f"b/{number}.png": b""}
        )
    write_tar(tmp_path / "val.tar", class_files())
    assert [image.label for image in list_source(tmp_path / "train-*").images] == [0, 1, 0, 1]


def test_labeled_splits_in_one_archive_are_not_mixed(list_source, tmp_path):
    files = {f"{split}/0{end}": b"0" for split in ("train", "val") for end in (".png", ".cls")}
    write_tar(tmp_path / "a.tar", files)
    with pytest.raises(DataNotFoundError, match=r"splits train, val.* an archive of each"):
        list_source(tmp_path / "a.tar")


def test_folder_around_an_archive_is_no_class(list_source, tmp_path):
    for prefix in ("flowers", "flowers/train"):
        write_tar(tmp_path / "a.tar", class_files(prefix))
        found = list_source(tmp_path / "a.tar")
        assert found.images[0].name == f"{prefix}/a/0.png"
        assert (found.classes, found.splits) == (("a", "b"), ())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", ["flat", "folder", "classes", "quoted"])
def test_labels_of_lists_are_kept(tmp_path, kind, names):
    form = dict(flat="{0}.png", folder="images/{0}.png", classes="{1}/{0}.png", quoted=" {0}.png")
    labels = [2, 0, 2, 1]
    paths = [form[names].format(number, "abc"[label]) for number, label in enumerate(labels)]
    files = {path: image_bytes(number) for number, path in enumerate(paths)}
    write_folder(tmp_path, files)
    quoted = [f'"{path}"' if names == "quoted" else path for path in paths]
    lines = [f"{path} {label}\n" for path, label in zip(quoted, labels, strict=True)]
    (tmp_path / "list.txt").write_text("".join(lines))
    out = tmp_path / f"out.{kind}"
    assert "4 images, 3 classes" in pack(tmp_path / "list.txt", out).stdout
    assert labeled_contents(out) == sorted(zip(files.values(), labels, strict=True))


def test_labeled_lists_of_archives_are_read(list_source, tmp_path):
    write_parquet(tmp_path / "a.parquet", class_files())
    (tmp_path / "list.txt").write_text("a.parquet::3 0\na.parquet::0 5\n")
    images, classes, _ = list_source(tmp_path / "list.txt")
    assert [image.label for image in images] == [0, 5]
    assert len(classes) == 6
    given = list(class_files().values())
    assert [read_image_file(image.address) for image in images] == [given[3], given[0]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a/0.png 0\nb/0.png\n", "has the line 'b/0.png'; expected"),
        ("a/0.png cat\n", "expected a file name, a blank and a label"),
        ("a/0.png 0 1\n", "more than a label after"),
    ],
)
def test_partly_labeled_lists_are_refused(list_source, tmp_path, lines, message):
    write_folder(tmp_path, class_files())
    (tmp_path / "list.txt").write_text(lines)
    with pytest.raises(ValueError, match=message):
        list_source(tmp_path / "list.txt")


def test_lists_without_labels_keep_the_paths(list_source, tmp_path):
    write_folder(tmp_path, {"a/0 1.png": b"", "b/x 2": b"", "c.png": b""})
    (tmp_path / "list.txt").write_text("a/0 1.png\nb/x 2\nc.png\n")
    found = list_source(tmp_path / "list.txt")
    assert [image.name for image in found.images] == ["a/0 1.png", "b/x 2", "c.png"]
    assert found.classes is None


@pytest.mark.parametrize("kind", ["list", "cls", "parquet"])
def test_labels_that_are_no_classes_are_refused(list_source, tmp_path, kind):
    number = 20230101123456
    if kind == "list":
        (source := tmp_path / "list.txt").write_text(f"0.png 0\n1.png {number}\n")
    elif kind == "cls":
        files = {"0.png": b"", "0.cls": b"0", "1.png": b"", "1.cls": str(number).encode()}
        write_tar(source := tmp_path / "a.tar", files)
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        table = pytest.importorskip("pyarrow").table(dict(image=[b"", b""], label=[0, number]))
        parquet.write_table(table, source := tmp_path / "a.parquet")
    with pytest.raises(DataNotFoundError, match=f"label {number}, but labels must be below"):
        list_source(source)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("empty", ["b", "z"])
def test_empty_class_folders_keep_the_labels(tmp_path, kind, empty):
    write_folder(tmp_path / "in", class_files(classes="ac"))
    (tmp_path / "in" / empty).mkdir()
    out = tmp_path / f"out.{kind}"
    assert "4 images, 3 classes" in pack(tmp_path / "in", out).stdout
    assert labeled_contents(out) == labeled_contents(tmp_path / "in")


@pytest.mark.parametrize("source", ["folder", "zip"])
@pytest.mark.parametrize("kind", KINDS)
def test_empty_class_folders_keep_the_names(list_source, tmp_path, source, kind):
    names = ("left/1.png", "right/x/2.png")
    files = {f"coco/{name}": image_bytes(number) for number, name in enumerate(names)}
    place = tree(tmp_path, source, files | {"coco/annotations/": b"", "coco/right/y/": b""})
    found = list_source(place)
    assert found.classes == ("annotations", "left", "right")
    prefix = "" if source == "folder" else "coco/"
    assert [(image.name, image.label) for image in found.images] == [
        (f"{prefix}{name}", label) for label, name in enumerate(names, 1)
    ]
    pack(place, out := tmp_path / f"out.{kind}")
    assert labeled_contents(out) == sorted((image_bytes(n), n + 1) for n in range(2))
    if kind != "parquet":
        dataset = UnlabeledImageFolder(str(out), data_prefix="right")
        assert contents(dataset) == [image_bytes(1)]


@pytest.mark.parametrize("source", ["folder", "zip"])
@pytest.mark.parametrize("other", ["train", "val"])
def test_empty_class_folders_of_splits_are_refused(list_source, tmp_path, source, other):
    files = {f"in/{split}/b/0.png": b"" for split in ("train", "val")} | {"in/val/0/": b""}
    assert list_source(tree(tmp_path / "1", source, files)).splits == ("train", "val")
    files[f"in/{other}/c/0.png"] = b""
    with pytest.raises(DataNotFoundError, match=r"'val/0' has no images.*pack each split"):
        list_source(tree(tmp_path / "2", source, files))


@pytest.mark.parametrize("link", ["gone", "a"])
def test_class_folders_that_shift_labels_are_refused(list_source, tmp_path, link):
    write_folder(tmp_path / "train", class_files(classes="ac"))
    (tmp_path / "train/b").symlink_to(tmp_path / "train" / link)
    for place in (tmp_path / "train", tmp_path):  # the classes, and a folder of splits
        with pytest.raises((DataNotFoundError, ValueError), match=r"a broken link|the same folder"):
            list_source(place)
    with pytest.raises((DataNotFoundError, ValueError), match=r"a broken link|the same folder"):
        LabeledImageFolder(str(tmp_path / "train"))


@pytest.mark.parametrize("kind", ["folder", "list", "tar"])
@pytest.mark.parametrize("shared", ["ImageNet", "data/ImageNet"])
def test_splits_below_a_shared_folder_are_no_class(list_source, tmp_path, kind, shared):
    files = class_files(f"{shared}/train") | class_files(f"{shared}/val")
    source = write_folder(tmp_path / "in", files)
    if kind == "list":
        source = tmp_path / "in/list.txt"
        source.write_text("".join(f"{name}\n" for name in files))
    elif kind == "tar":
        source = write_archive(tmp_path / "in.tar", files, "tar")
    found = list_source(source)
    assert (found.classes, found.splits) == (None, ("train", "val"))
    assert sorted(image.name for image in found.images) == sorted(files)
    if kind == "folder":
        (source / shared / "val/0").mkdir()
        with pytest.raises(DataNotFoundError, match="'val/0' has no images"):
            list_source(source)


@pytest.mark.parametrize("shared", ["", "ImageNet/"])
def test_unlabeled_splits_may_have_empty_folders(list_source, tmp_path, shared):
    write_folder(tmp_path, {f"{shared}train/0.png": b"", f"{shared}val/b/0.png": b""})
    (tmp_path / shared / "train/tmp").mkdir()
    (tmp_path / shared / "train/gone").symlink_to("nowhere")
    assert list_source(tmp_path).splits == ("train", "val")


@pytest.mark.parametrize("folders", [("", ""), ("data/", "data/"), ("train/", "test/")])
def test_unlabeled_archives_of_several_splits_are_packed(list_source, tmp_path, folders):
    for split, folder in zip(("train", "test"), folders, strict=True):
        write_tar(tmp_path / f"{split}.tar", {f"{folder}{split}1.png": b""})
    found = list_source(tmp_path)
    assert [image.label for image in found.images] == [None, None]
    write_tar(tmp_path / "test.tar", {f"{folders[1]}{name}/test.png": b"" for name in "ab"})
    if "train/" not in folders:
        with pytest.raises(DataNotFoundError, match="contains the splits test, train"):
            list_source(tmp_path)


@pytest.mark.parametrize(
    ("urls", "names", "classes"),
    [
        (["http://h/get?id=1", "http://h/get?id=2"], ["get", "get_1"], None),
        (["http://h/?id=1", "http://h?id=2"], ["image", "image_1"], None),
        (["http://a/n/1.jpg", "https://b/n/1.jpg"], ["n/1.jpg", "n/1_1.jpg"], None),
        (
            ["http://a/x_1.jpg", "s3://a/x.jpg", "c:s3://b/x.jpg"],
            ["x_1.jpg", "x.jpg", "x_2.jpg"],
            None,
        ),
        (["cl:s3://b/n1/1.jpg", "cl:s3://b/n2/1.jpg"], ["n1/1.jpg", "n2/1.jpg"], ("n1", "n2")),
    ],
)
def test_urls_are_named_by_different_paths(list_source, tmp_path, urls, names, classes):
    (tmp_path / "list.txt").write_text("\n".join(urls))
    found = list_source(tmp_path / "list.txt")
    assert [image.name for image in found.images] == names
    assert [image.address for image in found.images] == urls
    assert found.classes == classes


def test_images_of_several_archives_are_named_differently(list_source, tmp_path):
    write_folder(tmp_path, {"x/1.png": b""})
    lines = ["a.tar::x/1.png", "b.tar::x/1.png", "x/1.png", "http://h/x/1.png", "x/2.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    names = [image.name for image in list_source(tmp_path / "list.txt").images]
    assert names == ["x/1.png", "x/1_1.png", "x/1_2.png", "x/1_3.png", "x/2.png"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (".data/a/1.png", "_data/a/1.png"),
        ("{0}/.data/a/1.png", "_data/a/1.png"),
        ("a/.._1.png", "a/__1.png"),
        ("._MACOSX/1.png", "___MACOSX/1.png"),
        ("@eaDir/.1.png", "_@eaDir/_1.png"),
        ("https://h/.well-known/1.png", "_well-known/1.png"),
        ("a.tar::.git/1.png", "_git/1.png"),
    ],
)
def test_hidden_names_of_lists_are_found_in_packs(list_source, tmp_path, line, name):
    (tmp_path / "list.txt").write_text(f"{line.format(tmp_path)}\nb/2.png\n")
    assert list_source(tmp_path / "list.txt").images[0].name == name


@pytest.mark.parametrize("line", ["https://host/a.png", "a.png"])
def test_repeated_lines_are_refused_with_their_remedy(list_source, tmp_path, line):
    (tmp_path / "list.txt").write_text(f"{line}\n{line}\n")
    with pytest.raises(DataNotFoundError, match=r"the name 'a\.png': remove one from the list"):
        list_source(tmp_path / "list.txt")
