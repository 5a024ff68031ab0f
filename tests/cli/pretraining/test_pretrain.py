"""One-line pre-training from the start to the commands that it suggests."""

import contextlib
import importlib
import io
import os
import re
import shlex
import time

import numpy as np
import pytest
from archive_files import class_files
from image_folders import write_classes, write_images
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from PIL import Image
from remote_data import fake_hub
from tool_runs import run_tool

import mim_plugins
from mim_plugins.apis import read_config
from mim_plugins.cli.machine import Machine
from mim_plugins.cli.main import main
from mim_plugins.errors import ConfigError, DataNotFoundError, WorkDirError
from mim_plugins.registry import DATASETS

SMALL = ("--method", "mae", "--arch", "vit-t", "--img-size", "32", "--batch-size", "4")


@pytest.fixture(autouse=True)
def new_loggers():
    """Drop MMEngine's loggers, which it keeps by the start time of a run in seconds."""
    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Pre-train the smallest encoder, and return its folder and the lines of the output."""
    folder = tmp_path_factory.mktemp("own images")
    write_classes(folder / "data", images=3)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        out = str(folder / "run")
        data = str(folder / "data")
        main(["pretrain", data, *SMALL, "--val", data, "--epochs", "1", "--out", out])
    return folder, output.getvalue().splitlines()


def test_run_ends_with_checkpoint_curve_picture_and_encoder(finished):
    folder, lines = finished
    assert any(line.startswith("MAE, vit-t, 32 px, 64 mask cells of 4 px") for line in lines)
    summary = "\n".join(lines[lines.index("Done:") :])
    names = ("epoch_1.pth", "encoder.safetensors", "curve.png", "reconstruction.png")
    for path in (folder / "run.py", *(folder / "run" / name for name in names)):
        assert path.is_file()
        assert str(path) in summary
    with Image.open(folder / "run/reconstruction.png") as picture:
        assert min(picture.size) > 64
    assert "not written" not in summary


def test_labeled_images_are_evaluated_during_training(finished):
    folder, lines = finished
    assert "features evaluated with 9 labeled images of 3 classes" in lines
    (log,) = (folder / "run").glob("*/*.log")
    assert re.search(
        r"k-NN after epoch 1,.*probe_top1 [\d.]+,.*rankme [\d.]+ \(k=9", log.read_text()
    )


def test_suggested_commands_work(finished):
    folder, lines = finished
    suggested = [shlex.split(line)[1:] for line in lines if line.startswith("  mim-plugins")]
    assert [command[0] for command in suggested] == ["reconstruct", "embed", "finetune"]
    for command in suggested[:2]:
        main(command)
    assert (folder / "run/more.png").is_file()
    content = np.load(folder / "run/features.npz")
    assert content["features"].shape == (9, 192)
    assert np.isfinite(content["features"]).all()
    assert len(set(content["paths"])) == 9


def test_suggested_fine_tuning_and_prediction_work(finished, capsys):
    pytest.importorskip("mmpretrain", exc_type=ImportError)
    folder, lines = finished
    *_, line = (line for line in lines if "finetune" in line)
    command = [str(folder / "data") if word == "DATA" else word for word in shlex.split(line)[1:]]
    main([*command, "--epochs", "1", "--batch-size", "2", "--out", str(folder / "tuned")])
    output = capsys.readouterr().out
    assert "9 images of 3 classes" in output
    assert f"curve       {folder / 'tuned/curve.png'}" in output
    assert (folder / "tuned/curve.png").is_file()
    assert "not written" not in output
    *_, predict = (line for line in output.splitlines() if line.startswith("  mim-plugins"))
    main(shlex.split(predict)[1:])
    assert capsys.readouterr().out.count("%") == 9 * 3


def test_features_as_csv_have_a_line_per_image(finished):
    folder, _ = finished
    out = folder / "features.csv"
    run = (str(folder / "run.py"), str(folder / "run/epoch_1.pth"))
    main(["embed", *run, str(folder / "data/val"), "--out", str(out), "--batch-size", "4"])
    header, *rows = out.read_text().splitlines()
    assert header.startswith("path,feature_0,")
    assert len(rows) == 9


def test_train_tool_runs_the_written_config_and_resume_continues(finished, capsys, monkeypatch):
    folder, _ = finished
    (folder / "again.py").symlink_to("run.py")
    options = ("--cfg-options", "train_cfg.max_epochs=1", "model.head.norm_pix=False")
    run_tool("train.py", folder / "again.py", "--work-dir", folder / "again", *options)
    assert (folder / "again/epoch_1.pth").is_file()
    config = folder / "again/again.py"
    config.write_text(config.read_text().replace("max_epochs=1", "max_epochs=2"))
    os.utime(folder / "run.py", (time.time() + 9,) * 2)
    monkeypatch.chdir(folder)
    main(["resume", "again"])
    output = capsys.readouterr().out
    assert f"config: {config}\n'{folder / 'again.py'}' is newer but not read" in output
    assert "  checkpoint  again/epoch_2.pth\n" in output
    assert read_config(config).model.head.norm_pix is False


def test_earlier_run_is_kept_without_overwrite(finished):
    folder, _ = finished
    before = (folder / "run.py").read_text()
    with pytest.raises(WorkDirError, match="mim-plugins resume"):
        mim_plugins.pretrain(folder / "data", out=folder / "run")
    assert (folder / "run.py").read_text() == before


def test_config_can_be_written_without_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "birds", 4)
    results = mim_plugins.pretrain("birds", "mae", "vit-t", batch_size=2, config_only=True)
    assert str(results.config) == "work_dirs/mae_vit-t_birds.py"
    assert results.checkpoint is None
    assert [path.name for path in (tmp_path / "work_dirs").iterdir()] == ["mae_vit-t_birds.py"]


def test_shape_of_elongated_images_is_suggested(tmp_path, capsys):
    write_images(tmp_path / "data", 4, (48, 400))
    given = dict(batch_size=2, config_only=True, out=tmp_path / "run", overwrite=True)
    for size, is_noted in (32, True), ((32, 256), False):
        mim_plugins.pretrain(tmp_path / "data", "mae", "vit-t", size, **given)
        assert ("note: images have 8.3 times" in capsys.readouterr().out) == is_noted


def test_config_of_data_of_the_hub_reads_them(tmp_path, monkeypatch):
    fake_hub(monkeypatch, tmp_path, train=class_files(images=4), validation=class_files("val"))
    out = str(tmp_path / "run")
    main(["pretrain", "hf://user/name", *SMALL, "--config-only", "--out", out])
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        dataset = DATASETS.build(read_config(f"{out}.py").train_dataloader.dataset)
    assert len(dataset) == 8
    assert dataset[7]["inputs"].shape == (3, 32, 32)


def test_bad_input_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "small", 4, (20, 20))
    for arguments, error in (
        (("missing",), DataNotFoundError),
        (([],), ConfigError),
        (("small",), ConfigError),
        (("small", "mixmaee"), ConfigError),
        (("small", "mae", *[None] * 10, "small"), DataNotFoundError),
    ):
        with pytest.raises(error):
            mim_plugins.pretrain(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_size_that_fits_no_memory_is_an_error(tmp_path, monkeypatch):
    module = importlib.import_module("mim_plugins.cli.pretraining.pretrain")
    monkeypatch.setattr(module, "this_machine", lambda: Machine(False, 2, 1 << 20))
    data, out = write_images(tmp_path / "data", 4), tmp_path / "out"
    arguments = dict(method="mae", arch="vit-t", img_size=32, out=out, config_only=True)
    with pytest.raises(ConfigError, match=r"need .* GiB for a batch of 1.*try it with --batch-siz"):
        mim_plugins.pretrain(data, **arguments)
    mim_plugins.pretrain(data, batch_size=2, **arguments)


def test_command_line_reports_bad_input_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["pretrain", str(tmp_path)])
    assert str(stop.value.code) == f"error: data '{tmp_path}' contains no images"


def test_folder_without_a_run_cannot_be_resumed(tmp_path):
    for folder, message in (("none", "there is no work folder"), ("", "config of the run is unk")):
        with pytest.raises(SystemExit) as stop:
            main(["resume", str(tmp_path / folder)])
        assert message in stop.value.code
