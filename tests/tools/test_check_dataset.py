"""tools/misc/check_dataset.py as a user calls it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from image_files import corrupt_files, good_files

from mim_plugins.datasets import UnlabeledImageFolder

ROOT = Path(__file__).parents[2]


spec = importlib.util.spec_from_file_location("check_dataset", ROOT / "tools/misc/check_dataset.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


@pytest.fixture
def check(monkeypatch, capfd):
    """Run the tool in this process, and return exit code, output and error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["check_dataset.py", *map(str, arguments)])
        code = 0
        try:
            tool.main()
        except SystemExit as end:
            code = end.code
        return code, capfd.readouterr().out

    return run


@pytest.fixture
def folder(tmp_path):
    """Write every kind of good and corrupt image into two folders."""
    folder = tmp_path / "images"
    for name, data in good_files().items():
        (folder / "good").mkdir(parents=True, exist_ok=True)
        (folder / "good" / name).write_bytes(data)
    for name, (data, _) in corrupt_files().items():
        (folder / "bad").mkdir(parents=True, exist_ok=True)
        (folder / "bad" / name).write_bytes(data)
    return folder


def test_corrupt_files_are_reported_and_both_lists_written(tmp_path, folder):
    arguments = (
        folder,
        "--workers",
        2,
        "--out",
        tmp_path / "bad.txt",
        "--write-list",
        tmp_path / "good.txt",
    )
    result = subprocess.run(
        [sys.executable, "tools/misc/check_dataset.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )

    good, damaged = good_files(), corrupt_files()
    assert result.returncode == 1, result.stderr
    assert f"{len(good) + len(damaged)} images: {len(good)} good" in result.stdout
    assert "1 JPEG, mode CMYK" in result.stdout
    assert "4 PNG, mode RGB\n" in result.stdout  # rgb, rgb16, animated, named .jpg
    assert "1 with the suffix of another format" in result.stdout
    assert "width: 64 to 64 pixels" in result.stdout
    for name, (_, kind) in damaged.items():
        assert f"corrupt image '{folder / 'bad' / name}': {kind} (" in result.stdout
    listed = dict(line.split("\t") for line in (tmp_path / "bad.txt").read_text().splitlines())
    assert listed == {str(folder / "bad" / name): kind for name, (_, kind) in damaged.items()}

    dataset = UnlabeledImageFolder(str(folder), ann_file=str(tmp_path / "good.txt"))
    paths = [dataset.get_data_info(index)["img_path"] for index in range(len(dataset))]
    assert paths == sorted(str(folder / "good" / name) for name in good)


def test_good_images_exit_with_0_and_a_list_limits_the_check(tmp_path, folder, check):
    (tmp_path / "list.txt").write_text("good/rgb.png 5\ngood/rgb.jpg\n")

    code, output = check(folder, "--workers", 1, "--list", tmp_path / "list.txt")

    assert code == 0
    assert "2 images: 2 good, 0 corrupt" in output


def test_missing_listed_files_count_as_corrupt(tmp_path, folder, check):
    (tmp_path / "list.txt").write_text("good/gone.png\ngood/rgb.jpg\n")

    code, output = check(folder, "--workers", 1, "--list", tmp_path / "list.txt")

    assert code == 1
    assert "gone.png': missing" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}/nowhere"], "there is no folder"),
        (["{0}"], "no images in"),
        (["{0}", "--list", "{0}/none.txt"], "there is no file"),
    ],
)
def test_invalid_arguments_exit_with_one_line(tmp_path, check, arguments, message):
    code, _ = check(*[argument.format(tmp_path) for argument in arguments])
    assert code.startswith(f"error: {message}")


def test_files_of_any_name_are_reported_and_listed(tmp_path, check):
    folder = tmp_path / "images"
    for name in (b"ok\xff\n.jpg", b" ok.jpg"):
        write(folder, name, good_files()["rgb.jpg"])
    for name in (b"bad\xff\n.jpg", b"two words.jpg"):
        write(folder, name, b"x")
    write(folder, b".ipynb_checkpoints/0.jpg", b"x")
    (folder / "up").symlink_to("..")
    os.mkfifo(folder / "pipe.jpg")
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"

    code, out = check(folder, "--workers", 1, "--out", bad, "--write-list", good)

    assert code == 1
    assert "4 images: 2 good, 2 corrupt" in out
    assert r"bad\xff\n.jpg" in out
    for kind in ("1 hidden folders", "1 links to a folder above them", "1 devices, pipes"):
        assert kind in out
    assert len(UnlabeledImageFolder(str(folder), ann_file=str(good))) == 2
    assert check(folder, "--list", good, "--workers", 1)[0] == 0
    code, out = check(folder, "--list", bad, "--workers", 1)
    assert (code, "2 images: 0 good, 2 corrupt" in out) == (1, True)


def write(folder, name, data):
    file = os.path.join(os.fsencode(folder), name)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "wb") as stream:
        stream.write(data)
