import pytest
from archive_files import write_lmdb

from mim_plugins.datasets.image_lists import read_image_list, read_labeled_list
from mim_plugins.file_names import quote_name, write_lines


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("a/0.jpg", "a/0.jpg"),
        ("a/0.jpg 3", "a/0.jpg"),
        ("a/0.JPEG\t3", "a/0.JPEG"),
        ("two words/an image.png", "two words/an image.png"),
        ("two words/an image.png 3", "two words/an image.png"),
        ("two words/an image.png 3 4", "two words/an image.png"),
        ("a.jpg b.jpg", "a.jpg b.jpg"),
        ("a/0.heic 3", "a/0.heic"),
        ('"line\\nbreak.jpg"', "line\nbreak.jpg"),
        ('"line\\nbreak.jpg" 3', "line\nbreak.jpg"),
        ('"quoted".jpg', '"quoted".jpg'),
        ("IM 0001.dcm", "IM 0001.dcm"),
        ("my scan.npy\t12", "my scan.npy"),
        ("two words/a scan.NPZ 3 4", "two words/a scan.NPZ"),
        ("a scan.jpg.dicom", "a scan.jpg.dicom"),
    ],
)
def test_a_label_after_the_path_is_ignored(tmp_path, line, name):
    (tmp_path / "list.txt").write_text(f"{line}  \r\n", newline="")

    assert read_image_list(tmp_path / "list.txt", "root") == [f"root/{name}"]


def test_names_without_suffix_may_contain_blanks(tmp_path):
    for name in ("IM 0001", "IM 0002"):
        (tmp_path / name).touch()
    write_lmdb(tmp_path / "a.lmdb", {"IM 0001": b"x", "IM 0002": b"x"})
    list_file = tmp_path / "list.txt"
    for folder, joint in ((tmp_path, "/"), (tmp_path / "a.lmdb", "::")):
        list_file.write_text("IM 0001\nIM 0002\nscan.png 3\n")
        names = ("IM 0001", "IM 0002", "scan.png")
        assert read_image_list(list_file, folder) == [f"{folder}{joint}{name}" for name in names]
        list_file.write_text("IM 0001 5\nIM 0002 6\n")
        assert read_image_list(list_file, folder) == [f"{folder}{joint}{n}" for n in names[:2]]


def test_labels_after_urls_without_suffix_are_ignored(tmp_path):
    (tmp_path / "a b").touch()
    (tmp_path / "list.txt").write_text("https://host/a?id=1 4\na b\nhttps://host/b.jpg 3\n")
    expected = ["https://host/a?id=1", f"{tmp_path}/a b", "https://host/b.jpg"]
    assert read_image_list(tmp_path / "list.txt", tmp_path) == expected


def test_addresses_of_the_hub_and_urls_are_kept(tmp_path):
    names = ["hf://user/name::0", "https://host/a.jpg", "a.jpg"]
    write_lines(tmp_path / "list.txt", names)
    expected = [*names[:2], f"{tmp_path}/a.jpg"]
    assert read_image_list(tmp_path / "list.txt", tmp_path) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "  \n"])
def test_labels_are_read_in_any_encoding(tmp_path, encoding, end):
    text = end.join(["grüße/an image.jpg 0", "b\t12", 'say "x".jpg   3', ""])
    (tmp_path / "list.txt").write_bytes(text.encode(encoding))

    expected = [("grüße/an image.jpg", 0), ("b", 12), ('say "x".jpg', 3)]
    assert read_labeled_list(tmp_path / "list.txt") == expected


@pytest.mark.parametrize("name", ["a\nb.jpg", " a.jpg", '"a.jpg', "\udcff 1", "a\t2"])
def test_odd_names_with_labels_read_back_as_written(tmp_path, name):
    write_lines(tmp_path / "list.txt", [f"{quote_name(name)} 7"])

    assert read_labeled_list(tmp_path / "list.txt") == [(name, 7)]


@pytest.mark.parametrize("line", ["a.jpg", "a.jpg x", "a.jpg -1", "7", "a.jpg 10", "a.jpg,3"])
def test_a_line_without_a_valid_label_is_named(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"b.jpg 3\n{line}\n")

    with pytest.raises(ValueError, match=rf"list\.txt' has the line '{line}'.*from 0 to 9"):
        read_labeled_list(tmp_path / "list.txt", classes=10)
