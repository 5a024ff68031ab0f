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


def source_of(root, kind, files):
    """Write files as a folder, a list, an archive or an archive for each folder."""
    if kind == "tar":
        return write_archive(root / "in.tar", files, "tar")
    if kind == "tars":
        for name, data in files.items():
            write_archive(root / f"in/{name.replace('/', ' ')}.tar", {name: data}, "tar")
        return root / "in"
    source = write_folder(root / "in", files)
    if kind == "list":
        source = root / "in/list.txt"
        source.write_text("".join(f"{name}\n" for name in files))
    return source


@pytest.mark.parametrize(
    ("archives", "splits"),
    [
        (["train-0-of-1.parquet", "validation-0-of-1.parquet"], "train, validation"),
        (["train2017.tar", "val2017.tar"], "train, val"),
        (["Test.zip", "train_0.tar", "train_1.tar"], "Test, train"),
        (["train/0.tar", "valid/0.tar"], "train, valid"),
    ],
)
def test_splits_in_several_archives_are_not_mixed(list_source, tmp_path, archives, splits):
    for name in archives:
        write_archive(tmp_path / name, class_files(), name.rpartition(".")[2])
    place = tmp_path / "*/*" if "/" in archives[0] else tmp_path
    with pytest.raises(DataNotFoundError, match=r"different splits: .*; a pack has"):
        list_source(place)


@pytest.mark.parametrize("kind", ["folder", "list", "tar", "tars"])
@pytest.mark.parametrize(
    "classes",
    [
        ["ant", "bee", "bullet_train", "cat", "crash_test", "dog"],
        ["bus", "car", "train"],
        ["invalid", "valid"],
        ["fail", "pass", "test"],
        ["Train", "train", "training"],
        ["a b", "test ", "Über", "été"],
    ],
)
def test_names_of_splits_among_classes_keep_labels(list_source, tmp_path, kind, classes):
    files = class_files(classes=classes, images=1)
    found = list_source(source_of(tmp_path, kind, files))
    assert found.classes == tuple(classes)
    assert {image.name: image.label for image in found.images} == {
        name: label for label, name in enumerate(files)
    }


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
    with pytest.raises(
        DataNotFoundError, match=r"splits: .*train, .*val; .* unpack it, or pack lists"
    ):
        list_source(tmp_path / "a.tar")


def test_folder_around_an_archive_is_no_class(list_source, tmp_path):
    for prefix in ("flowers", "flowers/train"):
        write_tar(tmp_path / "a.tar", class_files(prefix))
        found = list_source(tmp_path / "a.tar")
        assert found.images[0].name == f"{prefix}/a/0.png"
        assert found.classes == ("a", "b")


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
    images, classes = list_source(tmp_path / "list.txt")
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
@pytest.mark.parametrize("shared", ["", "data 1/ImageNet/"])
@pytest.mark.parametrize("splits", [("Train", "validation"), ("test", "train", "val")])
@pytest.mark.parametrize("other", ["a/0.png", "0.png"])
def test_several_splits_are_refused(list_source, tmp_path, kind, shared, splits, other):
    files = {f"{shared}{split}/a/0.png": b"" for split in splits[1:]}
    source = source_of(tmp_path, kind, {f"{shared}{splits[0]}/{other}": b"", **files})
    message = r"different splits: .*; a pack has one: "
    with pytest.raises(DataNotFoundError, match=message):
        list_source(source)


def test_labeled_list_of_several_splits_has_no_folders_of_them(list_source, tmp_path):
    (tmp_path / "list.txt").write_text("train/0.png 0\nval/1.png 1\n")
    found = list_source(tmp_path / "list.txt")
    assert [(image.name, image.label) for image in found.images] == [("0", 0), ("1", 1)]


@pytest.mark.parametrize("kind", ["folder", "tar"])
@pytest.mark.parametrize("around", ["", "train/", "data/train/"])
def test_images_beside_class_folders_are_refused(list_source, tmp_path, kind, around):
    names = ("montage 1.png", "cat/0.png", "dog/x/0.png")
    source = source_of(tmp_path, kind, {f"{around}{name}": b"" for name in names})
    message = f"1 of 3 images beside class folders, such as '{around}montage 1.png', so they have"
    with pytest.raises(DataNotFoundError, match=message):
        list_source(source)


def test_only_the_first_split_around_classes_is_no_class(list_source, tmp_path):
    for source, files in (("1", ["valid/0.png"]), ("2", ["cat/train/deep/0.png"])):
        write_folder(tmp_path / source, {f"data/train/{name}": b"" for name in files})
        (tmp_path / source / "data/train/a").mkdir()
        assert list_source(tmp_path / source).classes == ("a", files[0].partition("/")[0])


def test_empty_list_is_one_line(list_source, tmp_path):
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(DataNotFoundError, match=r"list.txt' has no images: give a folder"):
        list_source(tmp_path / "list.txt")


@pytest.mark.parametrize("name", ["train", "photos"])
def test_single_class_may_have_any_name(list_source, tmp_path, name):
    write_folder(tmp_path, {f"{name}/{number}.png": b"" for number in range(2)})
    assert list_source(tmp_path).classes == (name,)
    (tmp_path / "bus").mkdir()
    assert list_source(tmp_path).classes == ("bus", name)
    assert ("bus", name) == LabeledImageFolder(str(tmp_path)).CLASSES


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
