import codecs
import os

import pytest

from mim_plugins.file_names import (
    printable,
    quote_name,
    read_lines,
    unquote_name,
    write_lines,
)

ODD_NAMES = [
    "a/plain.jpg",
    "two words/an image.jpg",
    "line\nbreak.jpg",
    "carriage\rreturn.jpg",
    "tab\tin it.jpg",
    " blank in front.jpg",
    "blank behind ",
    '"quoted".jpg',
    '"wholly quoted"',
    "not \udcff UTF-8.jpg",
    "\udcffline\nbreak.jpg",
    "next\x85line \u2028.jpg",
    "back\\slash\\n.jpg",
    "grüße/日本.jpg",
    "\u3000wide blank.jpg",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_list_of_unusual_names_reads_back_as_written(tmp_path, name):
    file = tmp_path / "list.txt"
    write_lines(file, map(quote_name, ["first.jpg", name, "last.jpg"]))

    assert [unquote_name(line) for line in read_lines(file)] == ["first.jpg", name, "last.jpg"]


@pytest.mark.parametrize("name", ["a b.jpg", "grüße.jpg", "not \udcff UTF-8.jpg"])
def test_a_name_that_fits_a_line_is_written_unchanged(tmp_path, name):
    write_lines(tmp_path / "list.txt", [quote_name(name)])

    assert (tmp_path / "list.txt").read_bytes() == os.fsencode(name) + b"\n"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_printable_name_is_one_line_in_any_encoding(name):
    shown = printable(name)

    assert len(shown.splitlines()) == 1
    assert shown.encode("utf-8").decode() == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b/ü.jpg", "a b/ü.jpg"),
        ("a\nb", r"a\nb"),
        ("a\udcffb", r"a\xffb"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\u2028b", r"a\u2028b"),
    ],
)
def test_escapes_are_those_of_python(name, shown):
    assert printable(name) == shown


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_of_all_systems_are_read(tmp_path, mark, encoding, end):
    lines = ["grüße/1.jpg 0", "two words/2.jpg 1  ", "", "  日本/3.jpg 2\t"]
    (tmp_path / "list.txt").write_bytes(mark + end.join(lines).encode(encoding))

    read = read_lines(tmp_path / "list.txt")

    assert read == ["grüße/1.jpg 0", "two words/2.jpg 1", "日本/3.jpg 2"]


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", b"a\0\0\0b", b"PK\3\4\0"])
def test_a_binary_file_is_refused(tmp_path, content):
    (tmp_path / "list.txt").write_bytes(content)

    with pytest.raises(ValueError, match=r"list\.txt' is not a text file"):
        read_lines(tmp_path / "list.txt")


def test_an_empty_file_has_no_lines(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf\r\n \r\n")

    assert read_lines(tmp_path / "list.txt") == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("names", [["一.png", "a.png"], ["a.png"], ["Ā/Ȁ.jpg", "b"]])
def test_utf16_without_a_mark_is_read_in_either_order(tmp_path, encoding, names):
    (tmp_path / "list.txt").write_bytes("".join(f"{name}\n" for name in names).encode(encoding))
    assert read_lines(tmp_path / "list.txt") == names


def test_lists_that_were_joined_keep_no_mark_inside(tmp_path):
    part = "a.png\nb c.png\n".encode("utf-8-sig")
    (tmp_path / "list.txt").write_bytes(part + part)
    assert read_lines(tmp_path / "list.txt") == ["a.png", "b c.png"] * 2
