"""Images of archives and their labels."""

import pyarrow
import pytest
from archive_files import FORMATS, class_files, image_bytes, write_archive, write_parquet, write_tar

from mim_plugins.datasets.archive_images import archive_images
from mim_plugins.datasets.archive_places import ArchivePlace
from mim_plugins.errors import ArchiveError, DataNotFoundError


def read(*paths, folder="", **options):
    return archive_images(ArchivePlace(list(map(str, paths)), folder), **options)


def names(found):
    return [path.partition("::")[2] for path in found.paths]


@pytest.fixture
def tar(tmp_path):
    def write(files, name="a.tar"):
        write_tar(tmp_path / name, {n: image_bytes() if d is None else d for n, d in files.items()})
        return tmp_path / name

    return write


@pytest.mark.parametrize("kind", FORMATS)
def test_labels_are_those_of_the_class_folders(tmp_path, kind):
    path = write_archive(tmp_path / f"a.{kind}", class_files(classes="ab", images=2), kind)
    found = read(path, labeled=True)
    assert (found.labels, found.classes) == ([0, 0, 1, 1], ("a", "b"))
    assert len(found.paths) == 4
    assert [archive.path for archive in found.archives] == [str(path)]


def test_hidden_images_and_other_files_are_left_out(tar):
    others = dict.fromkeys(("a/x.txt", "a/x.json", "a/x.pyd", "a/x.pickle"), b"cos\nsystem\n")
    hidden = dict.fromkeys(("__MACOSX/a/1.png", "a/._1.png", ".git/1.png"), None)
    assert names(read(tar({"a/1.png": None} | others | hidden))) == ["a/1.png"]


@pytest.mark.parametrize("top", ["", "./", "photos/2024/", "./data/"])
def test_folders_that_all_images_share_are_ignored(tar, top):
    files = {f"{top}{split}/{name}/1.png": None for split in ("train", "val") for name in "ab"}
    found = read(tar(files), folder="train", labeled=True, strict=True)
    assert names(found) == [f"{top}train/a/1.png", f"{top}train/b/1.png"]
    assert found.classes == ("a", "b")


@pytest.mark.parametrize("folder", ["imagenet/train", "train", "/imagenet/train/", "x/../train"])
@pytest.mark.parametrize("others", [[], ["imagenet/val"], ["imagenet/val", "other"]])
def test_folder_is_found_from_the_top_or_below(tar, folder, others):
    if others[1:] and "imagenet" not in folder:
        folder = f"imagenet/{folder}"
    train = [f"imagenet/train/{name}/1.png" for name in "ab"]
    path = tar(dict.fromkeys([*train, *(f"{other}/a/1.png" for other in others)]))
    for options in ({}, dict(labeled=True, strict=True)):
        found = read(path, folder=folder, **options)
        assert names(found) == train
    assert found.classes == ("a", "b")


def test_folder_in_the_middle_of_shared_ones_is_found(tar):
    path = tar({"w/x/y/z/1.png": None, "w/x/y/z/2.png": None})
    for folder in ("w", "w/x", "x", "x/y", "y/z", "z", "w/x/y/z", "", ".", "/"):
        assert len(read(path, folder=folder, strict=True).paths) == 2
    for folder in ("w/y", "x/y/z/1", "y/x", "xy"):
        with pytest.raises(DataNotFoundError, match="has no folder"):
            read(path, folder=folder, strict=True)


def test_split_alone_in_its_archive_needs_no_folder(tar):
    found = read(tar({"train/a/1.png": None, "train/b/1.png": None}), labeled=True)
    assert found.classes == ("a", "b")


@pytest.mark.parametrize(
    ("classes", "split"),
    [
        (("bus", "car", "train"), "train"),
        (("airplane", "boat", "bus", "car", "train"), "train"),
        (("invalid", "valid"), "val"),
        (("resting", "training"), "train"),
    ],
)
@pytest.mark.parametrize("inner", ["", "x/"])
def test_class_named_like_the_split_of_an_archive_is_read(tar, classes, split, inner):
    path = tar({f"{name}/{inner}0.png": None for name in classes}, f"{split}.tar")
    place = ArchivePlace([str(path)], split, is_named=True)
    found = archive_images(place, labeled=True)
    assert (found.classes, found.labels) == (classes, list(range(len(classes))))


def test_missing_folder_is_read_completely_or_an_error(tar):
    path = tar({"a/1.png": None, "b/1.png": None})
    assert len(read(path, folder="train").paths) == 2
    with pytest.raises(DataNotFoundError, match="no folder 'train': store its images"):
        read(path, folder="train", strict=True)


def test_other_splits_are_refused(tar):
    for names in (["val/1.png", "x/1.png"], ["val/1.png"]):
        with pytest.raises(DataNotFoundError, match="no split 'train', but val"):
            read(tar(dict.fromkeys(names)), folder="train")


def test_classes_of_several_shards_are_counted_together(tar):
    first = tar({"a/1.png": None, "a/2.png": None}, "0.tar")
    second = tar({"b/1.png": None, "a/3.png": None}, "1.tar")
    found = read(first, second, labeled=True)
    assert (found.labels, found.classes) == ([0, 0, 0, 1], ("a", "b"))


def test_labels_of_webdataset_are_read(tar):
    files = {"x/000.jpg": None, "x/000.cls": b"7\n", "x/001.seg.jpg": None, "x/001.cls": b"12"}
    found = read(tar(files), labeled=True)
    assert (found.labels, found.classes) == ([7, 12], None)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0.jpg": None, "1.jpg": None, "0.cls": b"1"}, r"no '1\.cls' beside '1\.jpg'"),
        ({"0.jpg": None, "0.cls": b"cat"}, "contains 'cat', which is no number"),
        ({"0.jpg": None, "0.cls": b"1" * 40}, "which is no number"),
        ({"0.jpg": None, "0.cls": b"9" * 19}, "which is no number"),
        ({"0.jpg": None, "0.cls": b"-1"}, "contains '-1', which is no number"),
        ({"0.jpg": None, "a/1.jpg": None}, r"no label for '0\.jpg': store CLASS/IMAGE"),
    ],
)
def test_missing_and_wrong_labels_are_errors(tar, files, message):
    with pytest.raises(ArchiveError, match=message):
        read(tar(files), labeled=True)


def test_empty_archives_are_errors(tar):
    for files in ({}, {"a.txt": b"x"}, {".hidden.png": None}):
        with pytest.raises(DataNotFoundError, match="no images in the archive"):
            read(tar(files))


@pytest.mark.parametrize(("label", "allowed"), [(2, "from 0 to 1"), (-1, "from 0"), (None, "from")])
def test_labels_outside_the_classes_are_errors(tmp_path, label, allowed):
    write_parquet(tmp_path / "a.parquet", class_files(images=1), labels=[0, label])
    with pytest.raises(ArchiveError, match=f"row 1 has the label .*must be {allowed}"):
        read(tmp_path / "a.parquet", labeled=True)


def test_tables_with_other_classes_are_errors(tmp_path):
    for name in ("ab", "ac"):
        write_parquet(tmp_path / f"{name}.parquet", class_files(classes=name))
    with pytest.raises(ArchiveError, match="has other classes than"):
        read(tmp_path / "ab.parquet", tmp_path / "ac.parquet", labeled=True)


def write_shards(folder, *columns):
    for number, values in enumerate(columns):
        files = {f"a/{index}.png": image_bytes(index) for index in range(len(values))}
        labels = pyarrow.array(values, None if any(values) else pyarrow.string())
        path = folder / f"{number}.parquet"
        write_parquet(path, files, labels=labels, names=False)
        yield path


@pytest.mark.parametrize(
    ("columns", "labels", "classes"),
    [
        ((["cat", "cat"], ["dog"]), [0, 0, 1], ("cat", "dog")),
        ((["dog"], ["cat", "dog"], ["ant"]), [2, 1, 2, 0], ("ant", "cat", "dog")),
        (([], ["dog"], []), [0], ("dog",)),
        (([5, 7], [6]), [5, 7, 6], None),
    ],
)
def test_names_are_numbered_over_all_tables(tmp_path, columns, labels, classes):
    found = read(*write_shards(tmp_path, *columns), labeled=True)
    assert (found.labels, found.classes) == (labels, classes)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((["cat"], [1]), "has other classes than"),
        ((["cat"], ["dog", None]), "row 1 has the label -1, but"),
        ((["cat"], [None]), "row 0 has the label -1, but"),
    ],
)
def test_tables_with_other_kinds_of_labels_are_errors(tmp_path, columns, message):
    with pytest.raises(ArchiveError, match=message):
        read(*write_shards(tmp_path, *columns), labeled=True)


def test_keys_of_lmdb_need_no_suffix(tmp_path):
    path = write_archive(tmp_path / "a.lmdb", {"0001": image_bytes(), "0002": b"x"}, "lmdb")
    assert names(read(path)) == ["0001", "0002"]
