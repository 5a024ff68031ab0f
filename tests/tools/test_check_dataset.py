import contextlib
import errno
import os
import sys
from importlib import import_module
from signal import SIGINT, SIGTERM, default_int_handler, getsignal, raise_signal, signal

import pytest
import written_list
from archive_files import write_archive
from band_images import write_scenes
from image_files import corrupt_files, good_files
from remote_data import fake_web
from tool_runs import TOOLS, run_process, run_tool

from mim_plugins.cli.ctrl_c import TRACEBACK_VARIABLE
from mim_plugins.datasets import UnlabeledImageFolder
from mim_plugins.file_names import write_lines
from mim_plugins.transforms import LoadImage

TOOL = "misc/check_dataset.py"


def check(*arguments, code=0):
    return run_tool(TOOL, *arguments, "--workers", 1, code=code).stdout


@pytest.fixture
def folder(tmp_path):
    """Write every kind of good and corrupt image into two folders."""
    bad = {name: data for name, (data, _) in corrupt_files().items()}
    for kind, files in (("good", good_files()), ("bad", bad)):
        for name, data in files.items():
            write(tmp_path / "images" / kind, os.fsencode(name), data)
    return tmp_path / "images"


def test_corrupt_files_are_reported_and_both_lists_written(tmp_path, folder):
    lists = ("--out", tmp_path / "bad.txt", "--write-list", tmp_path / "good.txt")
    command = (sys.executable, TOOLS / TOOL, folder, "--workers", 2, *lists)
    printed = run_process(*command, code=1).stdout

    good, corrupt = good_files(), corrupt_files()
    assert f"{len(good) + len(corrupt)} images: {len(good)} good" in printed
    assert "1 JPEG, mode CMYK" in printed
    assert "4 PNG, mode RGB\n" in printed  # rgb, rgb16, animated, named .jpg
    assert "1 with the suffix of another format" in printed
    assert "width: 64 to 64 pixels" in printed
    for name, (_, kind) in corrupt.items():
        assert f"corrupt image '{folder / 'bad' / name}': {kind} (" in printed
    listed = dict(line.split("\t") for line in (tmp_path / "bad.txt").read_text().splitlines())
    assert listed == {str(folder / "bad" / name): kind for name, (_, kind) in corrupt.items()}

    dataset = UnlabeledImageFolder(str(folder), ann_file=str(tmp_path / "good.txt"))
    paths = [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]
    assert paths == sorted(str(folder / "good" / name) for name in good)


@pytest.mark.parametrize(
    ("listed", "code", "printed"),
    [
        ("good/rgb.png 5\ngood/rgb.jpg\n", 0, "2 images: 2 good, 0 corrupt"),
        ("good/gone.png\ngood/rgb.jpg\n", 1, "gone.png': missing"),
    ],
)
def test_list_limits_the_check_and_missing_files_are_corrupt(
    tmp_path, folder, listed, code, printed
):
    (tmp_path / "list.txt").write_text(listed)
    assert printed in check(folder, "--list", tmp_path / "list.txt", code=code)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}/nowhere"], "there is no folder or archive"),
        (["{0}"], "no images in"),
        (["{0}", "--list", "{0}/none.txt"], "there is no file"),
    ],
)
def test_invalid_arguments_exit_with_one_line(tmp_path, arguments, message):
    given = [argument.format(tmp_path) for argument in arguments]
    assert run_tool(TOOL, *given, code=1).stderr.startswith(f"error: {message}")


def test_urls_are_checked_and_listed_as_they_are(tmp_path, monkeypatch):
    urls = fake_web(monkeypatch, {"a.png": good_files()["rgb.png"], "b.png": b"x"})
    (tmp_path / "list.txt").write_text("\n".join(urls))
    options = ("--list", tmp_path / "list.txt", "--write-list", tmp_path / "good.txt")
    out = check(tmp_path, *options, code=1)
    assert "2 images: 1 good, 1 corrupt\n  1 PNG, mode RGB" in out
    assert (tmp_path / "good.txt").read_text().split() == urls[:1]


def test_files_of_any_name_are_reported_and_listed(tmp_path):
    folder = tmp_path / "images"
    for name in (b"ok\xff\n.jpg", b" ok.jpg"):
        write(folder, name, good_files()["rgb.jpg"])
    for name in (b"bad\xff\n.jpg", b"two words.jpg"):
        write(folder, name, b"x")
    write(folder, b".ipynb_checkpoints/0.jpg", b"x")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe.jpg")
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"

    out = check(folder, "--out", bad, "--write-list", good, code=1)

    assert "4 images: 2 good, 2 corrupt" in out
    assert r"bad\xff\n.jpg" in out
    for kind in ("1 hidden folders", "1 links to a folder above them", "1 devices, pipes"):
        assert kind in out
    assert len(UnlabeledImageFolder(str(folder), ann_file=str(good))) == 2
    check(folder, "--list", good)
    assert "2 images: 0 good, 2 corrupt" in check(folder, "--list", bad, code=1)


def test_lists_are_written_into_new_folders(tmp_path, folder):
    good, bad = tmp_path / "a/good.txt", tmp_path / "b/c/bad.txt"
    (tmp_path / "list.txt").write_text("good/rgb.png\ngood/gone.png\n")
    lists = ("--list", tmp_path / "list.txt", "--out", bad, "--write-list", good)
    check(folder, *lists, code=1)
    assert good.read_text() == "good/rgb.png\n"
    assert bad.read_text() == f"{folder / 'good/gone.png'}\tmissing\n"


@pytest.mark.parametrize("option", ["--out", "--write-list"])
def test_list_without_a_place_ends_before_images_are_read(tmp_path, option):
    write(tmp_path, b"0.jpg", b"x")
    for path, reason in ((tmp_path / "0.jpg/a.txt", "exists"), (tmp_path, "it is a folder")):
        printed = run_tool(TOOL, tmp_path, option, path, code=2)
        assert f"{option}: cannot write '{path}' (" in printed.stderr
        assert reason in printed.stderr
        assert not printed.stdout


def test_list_that_cannot_be_written_does_not_lose_the_other(tmp_path, monkeypatch):
    write(tmp_path, b"0.jpg", good_files()["rgb.jpg"])
    (tmp_path / "list.txt").write_text("earlier")

    def fail(file, lines):
        if "bad" in str(file):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_lines(file, lines)

    monkeypatch.setattr(written_list, "write_lines", fail)
    lists = ("--out", tmp_path / "bad.txt", "--write-list", tmp_path / "list.txt")
    printed = run_tool(TOOL, tmp_path, "--workers", 1, *lists, code=1)
    assert "1 images: 1 good" in printed.stdout
    assert f"error: cannot write '{tmp_path / 'bad.txt'}' (No space" in printed.stderr
    assert (tmp_path / "list.txt").read_text() == "0.jpg\n"
    assert not list(tmp_path.glob("bad*"))


def write(folder, name, data):
    file = os.path.join(os.fsencode(folder), name)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "wb") as stream:
        stream.write(data)


def test_archives_that_cannot_be_opened_are_findings(tmp_path):
    write(tmp_path, b"0.jpg", good_files()["rgb.jpg"])
    write(tmp_path, b"bad.tar", b"x" * 700)
    (tmp_path / "list.txt").write_text("0.jpg\nbad.tar::a.jpg\ngone.tar::b.jpg\n0.jpg\n")
    lists = ("--out", tmp_path / "bad.txt", "--write-list", tmp_path / "good.txt")
    out = check(tmp_path, "--list", tmp_path / "list.txt", *lists, code=1)
    assert "4 images: 2 good, 2 corrupt" in out
    assert f"corrupt image '{tmp_path}/bad.tar::a.jpg': unreadable ('{tmp_path}/bad.tar' is" in out
    assert (tmp_path / "good.txt").read_text().split() == ["0.jpg", "0.jpg"]
    assert (tmp_path / "bad.txt").read_text().splitlines() == [
        f"{tmp_path}/bad.tar::a.jpg\tunreadable",
        f"{tmp_path}/gone.tar::b.jpg\tmissing",
    ]


def test_error_that_ends_the_check_keeps_what_was_found(tmp_path):
    write(tmp_path, b"0.jpg", good_files()["rgb.jpg"])
    write(tmp_path, b"1.jpg", b"x")
    (tmp_path / "list.txt").write_text("0.jpg\n1.jpg\ns3://bucket/x.jpg\n0.jpg\n")
    lists = ("--list", tmp_path / "list.txt", "--out", tmp_path / "bad.txt", "--workers", 1)
    printed = run_tool(TOOL, tmp_path, *lists, code=1)
    assert "2 images: 1 good, 1 corrupt" in printed.stdout
    assert "error: 's3://bucket/x.jpg' needs a package" in printed.stderr
    assert printed.stderr.endswith("; only the first 2 of 4 images were checked\n")
    assert (tmp_path / "bad.txt").read_text() == f"{tmp_path}/1.jpg\tnot an image\n"
    (tmp_path / "list.txt").write_text("s3://bucket/x.jpg\n")
    assert not run_tool(TOOL, tmp_path, *lists, code=1).stdout
    assert "1.jpg" in (tmp_path / "bad.txt").read_text()


def test_lists_replace_neither_each_other_nor_the_data(tmp_path):
    write(tmp_path, b"0.jpg", good_files()["rgb.jpg"])
    archive = write_archive(tmp_path / "a.tar", {"a.png": good_files()["rgb.png"]}, "tar")
    listed, link = tmp_path / "list.txt", tmp_path / "link.txt"
    listed.write_text("0.jpg\na.tar::a.png\n")
    link.symlink_to(listed)
    (tmp_path / "link.txt.partial").write_text("0.jpg")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, message, code in (
        (("--list", listed, "--out", listed), "--out: '{}/list.txt' is the file of --list", 2),
        (("--list", listed, "--write-list", link), "'{}/link.txt' is the file of --list", 2),
        (("--out", "x", "--write-list", "x"), "--write-list: 'x' is the file of --out", 2),
        (("--list", f"{link}.partial", "--out", link), "' after Ctrl-C, the file of --list", 2),
        (("--list", listed, "--out", archive), "--out: '{}/a.tar' is one of the images", 1),
        (("--write-list", tmp_path / "0.jpg"), "has 1 image such as '{0}/0.jpg', and 1 archive", 1),
        (
            ("--list", listed, "--write-list", tmp_path / "0.jpg"),
            "--write-list: '{}/0.jpg' is o",
            1,
        ),
    ):
        printed = run_tool(TOOL, tmp_path, "--workers", 1, *arguments, code=code)
        assert message.format(tmp_path) in printed.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    check(tmp_path, "--list", listed, "--out", "/dev/null", "--write-list", "/dev/null")


def test_images_outside_of_a_linked_folder_are_found_again(tmp_path, monkeypatch):
    for name in ("mnt/a/b/x/1.jpg", "mnt/a/y/2.jpg"):
        write(tmp_path, name.encode(), good_files()["rgb.jpg"])
    root = tmp_path / "data"
    root.symlink_to("mnt/a/b")
    lines = [f"{tmp_path}/mnt/a/b/x/1.jpg", "x/1.jpg", "../y/2.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    lists = ("--list", tmp_path / "list.txt", "--write-list", tmp_path / "good.txt")
    monkeypatch.chdir(tmp_path)
    for given in (root, "data", "data/"):
        check(given, *lists)
        assert (tmp_path / "good.txt").read_text().split() == lines
        assert len(UnlabeledImageFolder(str(root), ann_file=str(tmp_path / "good.txt"))) == 3


@pytest.mark.parametrize(("number", "name"), [(SIGINT, "Ctrl-C"), (SIGTERM, "SIGTERM")])
def test_interrupt_keeps_what_was_found(tmp_path, monkeypatch, number, name):
    read = LoadImage.read
    code = 128 + number

    def interrupt(self, path):
        if path.endswith("2.jpg"):
            raise_signal(number)
        return read(self, path)

    def write_interrupted(file, lines):
        raise_signal(SIGTERM)
        raise_signal(SIGINT)
        write_lines(file, lines)

    for image in (b"0.jpg", b"1.jpg", b"2.jpg"):
        write(tmp_path, image, good_files()["rgb.jpg"] if image != b"1.jpg" else b"x")
    monkeypatch.setattr(LoadImage, "read", interrupt)
    monkeypatch.setattr(written_list, "write_lines", write_interrupted)
    before = getsignal(SIGTERM), signal(SIGINT, default_int_handler)
    lists = ("--out", tmp_path / "bad.txt", "--write-list", tmp_path / "good.txt")
    printed = run_tool(TOOL, tmp_path, "--workers", 1, *lists, code=code)
    assert "2 images: 1 good, 1 corrupt" in printed.stdout
    message = f"error: interrupted by {name}; only the first 2 of 3 images were checked\n"
    assert printed.stderr.endswith(message)
    assert (tmp_path / "good.txt").read_text() == "0.jpg\n"
    assert "1.jpg" in (tmp_path / "bad.txt").read_text()
    for list_name in ("bad.txt", "good.txt"):
        (tmp_path / list_name).write_text("all")
    printed = run_tool(TOOL, tmp_path, "--workers", 1, *lists, code=code)
    assert (getsignal(SIGTERM), signal(SIGINT, before[1])) == (before[0], default_int_handler)
    for name, content in (("bad.txt", "1.jpg"), ("good.txt", "0.jpg")):
        assert (tmp_path / name).read_text() == "all"
        assert content in (tmp_path / f"{name}.partial").read_text()
        assert f"'{tmp_path}/{name}' is kept, see '{tmp_path}/{name}.partial'" in printed.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "MemoryError"),
        (RuntimeError("two\nlines"), "RuntimeError: two lines"),
    ],
)
def test_unexpected_error_keeps_what_was_found(tmp_path, monkeypatch, error, line):
    read = LoadImage.read

    def fail(self, path):
        if path.endswith("1.jpg"):
            raise error
        return read(self, path)

    for name in (b"0.jpg", b"1.jpg"):
        write(tmp_path, name, good_files()["rgb.jpg"])
    monkeypatch.setattr(LoadImage, "read", fail)
    command = (TOOL, tmp_path, "--workers", 1, "--write-list", tmp_path / "good.txt")
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    printed = run_tool(*command, code=1)
    assert "1 images: 1 good" in printed.stdout
    more = f"({TRACEBACK_VARIABLE}=1 shows the traceback); only the first 1 of 2 images were"
    assert f"\nerror: {line} {more}" in f"\n{printed.stderr}"
    assert "Traceback" not in printed.stderr
    assert (tmp_path / "good.txt").read_text() == "0.jpg\n"
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    assert "Traceback" in run_tool(*command, code=1).stderr


@pytest.mark.parametrize("report", ["a closed pipe", "/dev/full"])
def test_report_that_is_not_printed_keeps_the_lists(tmp_path, monkeypatch, capsys, report):
    write(tmp_path, b"0.jpg", good_files()["rgb.jpg"])
    names = [f"{number:0200d}.jpg" for number in range(400)]  # longer than the buffer of a pipe
    (tmp_path / "list.txt").write_text("\n".join(["0.jpg", *names]))
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    lists = ("--list", tmp_path / "list.txt", "--out", bad, "--write-list", good)
    monkeypatch.syspath_prepend(TOOLS / "misc")
    tool = import_module("check_dataset")
    monkeypatch.setattr(sys, "argv", list(map(str, [TOOL, tmp_path, "--workers", 1, *lists])))
    if report == "/dev/full":
        out = os.open(report, os.O_WRONLY)
    else:
        reader, out = os.pipe()
        os.close(reader)
    with (
        open(out, "w") as stream,
        contextlib.redirect_stdout(stream),
        pytest.raises(SystemExit, match=r"^1$"),
    ):
        tool.main()
    message = "error: the report is not complete (No space left on device): check disk space\n"
    assert capsys.readouterr().err.endswith(message if report == "/dev/full" else "0:00:00\n")
    assert good.read_text() == "0.jpg\n"
    assert len(bad.read_text().splitlines()) == 400


def test_processes_get_the_opened_archives(tmp_path, monkeypatch):
    path = str(write_archive(tmp_path / "a.tar", {"a.png": good_files()["rgb.png"]}, "tar"))
    given = []

    def run_here(function, paths, workers, archives, chunk):
        given.extend(archives)
        return map(function, paths)

    monkeypatch.syspath_prepend(TOOLS / "misc")
    tool = import_module("check_dataset")
    monkeypatch.setattr(tool, "map_images", run_here)
    (finding,) = tool.check_all([f"{path}::a.png"], 2)
    assert finding.format == "PNG"
    assert [archive.path for archive in given] == [path]


def test_files_of_bands_are_checked_on_request(tmp_path):
    pytest.importorskip("tifffile")
    write_scenes(tmp_path, 2, bands=4)
    write_scenes(tmp_path / "more", 1, suffix=".npy", bands=4)
    write_scenes(tmp_path / "other", 1, bands=5)
    write(tmp_path, b"half.tif", (tmp_path / "00.tif").read_bytes()[:900])
    out = check(tmp_path, "--channels", 4, code=1)
    assert "5 images: 3 good, 2 corrupt" in out
    assert "1 wrong bands:" in out
    assert "1 truncated:" in out
