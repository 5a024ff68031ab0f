"""The commands on archives: every format and every command at least once."""

import contextlib
import io
import shlex

import numpy as np
import pytest
from archive_files import class_files, write_archive
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer
from tool_runs import run_tool

from mim_plugins.cli.main import main

SMALL = ("--method", "mae", "--arch", "vit-t", "--img-size", "32", "--epochs", "1")


@pytest.fixture(autouse=True)
def new_loggers():
    """Drop MMEngine's loggers, which it keeps by the start time of a run in seconds."""
    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()


def both_splits(images=2):
    return class_files("train", "abc", images) | class_files("val", "abc", images)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Pre-train on a mixture of five formats; return the folder and the output."""
    folder = tmp_path_factory.mktemp("archives")
    write_archive(folder / "both.zip", both_splits(), "zip")
    for split in ("train", "val"):
        write_archive(folder / f"tables/{split}-0-of-1.parquet", class_files(), "parquet")
        write_archive(folder / f"disk/{split}", class_files(), "hf")
    write_archive(folder / "keys.lmdb", class_files(images=1), "lmdb")
    write_archive(folder / "shards/0.tar", class_files(images=1), "tar")
    data = ["both.zip:2", "tables:0.5", "disk", "keys.lmdb", "shards"]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        names = [str(folder / name) for name in data]
        main(["pretrain", *names, *SMALL, "--batch-size", "11", "--out", str(folder / "run")])
    return folder, output.getvalue()


def test_mixture_of_all_formats_is_trained_on(finished):
    folder, printed = finished
    assert "22 images, batches of 11, 1 epoch of 2 iterations" in printed
    assert "not written" not in printed
    config = (folder / "run.py").read_text()
    assert "weights=[2.0, 0.5, 1.0, 1.0, 1.0]" in config


@pytest.mark.parametrize("place", ["keys.lmdb", "shards", "tables", "disk/val", "both.zip"])
def test_features_and_pictures_of_archives_are_written(finished, place, tmp_path):
    folder, _ = finished
    run = (str(folder / "run.py"), str(folder / "run/epoch_1.pth"), str(folder / place))
    main(["embed", *run, "--out", str(tmp_path / "f.npz")])
    paths = np.load(tmp_path / "f.npz")["paths"]
    assert len(set(paths)) == len(paths) > 1
    assert all("::" in path for path in paths)
    if place == "keys.lmdb":
        main(["reconstruct", *run, "--out", str(tmp_path / "r.png"), "--max-images", "2"])
        assert (tmp_path / "r.png").is_file()


@pytest.mark.parametrize("place", ["both.zip", "tables", "disk"])
def test_neighbors_are_found_in_archives(finished, place, capsys):
    folder, _ = finished
    run = (str(folder / "run.py"), str(folder / "run/epoch_1.pth"))
    main(["knn", *run, "--data-root", str(folder / place), "--k", "1", "--workers", "0"])
    count = 6 if place == "both.zip" else 4
    assert f"{count} references, {count} queries, 192 features" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["both.zip", "tables"])
def test_fine_tuning_and_prediction_work(finished, place, capsys):
    pytest.importorskip("mmpretrain", exc_type=ImportError)
    folder, _ = finished
    out = folder / f"tuned_{place}"
    options = ("--epochs", "1", "--batch-size", "2", "--out", str(out))
    encoder = str(folder / "run/encoder.safetensors")
    main(["finetune", str(folder / place), "--checkpoint", encoder, *options])
    output = capsys.readouterr().out
    count, classes = (6, 3) if place == "both.zip" else (4, 2)
    assert f"{count} images of {classes} classes" in output
    *_, predict = (line for line in output.splitlines() if line.startswith("  mim-plugins"))
    main(shlex.split(predict)[1:])
    assert f"{folder / place}" in (printed := capsys.readouterr().out)
    assert printed.count("%") == 2 * count * classes


@pytest.mark.parametrize("place", ["keys.lmdb", "shards", "tables", "disk/train", "both.zip"])
def test_archives_are_checked_and_their_good_images_listed(finished, place):
    folder, _ = finished
    good = folder / "good.txt"
    options = ("--workers", 1, "--write-list", good)
    printed = run_tool("misc/check_dataset.py", folder / place, *options).stdout
    count = printed.partition(" images: ")[0].split()[-1]
    assert f"{count} good, 0 corrupt" in printed
    again = run_tool("misc/check_dataset.py", folder / place, "--workers", 1, "--list", good)
    assert f"{count} images: {count} good" in again.stdout


def test_unusable_data_end_with_one_line_before_training(tmp_path, capsys):
    (tmp_path / "cut.tar").write_bytes(b"x" * 700)
    (tmp_path / "old.tar.gz").write_bytes(b"x")
    write_archive(tmp_path / "empty.zip", {}, "zip")
    write_archive(tmp_path / "one.tar", class_files("train"), "tar")
    for name, message in (
        ("cut.tar", "no complete tar archive"),
        ("old.tar.gz", "a format that is not read; supported are"),
        ("empty.zip", "no images in the archive"),
        ("gone.parquet", "does not exist"),
        ("one.tar:0", "weight 0.0 must be a number above 0"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["pretrain", str(tmp_path / name), *SMALL, "--out", str(tmp_path / "run")])
        assert message in str(stop.value)
        assert "\n" not in str(stop.value)
