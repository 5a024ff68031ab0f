"""Batch, epochs, log and folder of runs on own images."""

from pathlib import Path

import pytest

from mim_plugins.cli.own_runs import (
    WRITTEN_BY,
    automatic_batch,
    automatic_epochs,
    check_out,
    config_path,
    reporting_hooks,
    safe_name,
    write_config,
)
from mim_plugins.errors import WorkDirError


@pytest.mark.parametrize(
    ("images", "batch"), [(2, 2), (7, 2), (200, 32), (1000, 128), (10**6, 256)]
)
def test_batch_is_a_power_of_two_with_several_updates(images, batch):
    assert automatic_batch(images, 2, 256) == batch


def test_epochs_follow_from_the_updates_within_limits():
    assert automatic_epochs(10, 600, (10, 300)) == 60
    assert automatic_epochs(1000, 600, (10, 300)) == 10
    assert automatic_epochs(1, 600, (10, 300)) == 300


def test_first_log_line_comes_after_few_iterations():
    assert reporting_hooks(1, 1) == dict(logger=dict(interval=1), checkpoint=dict(interval=1))
    assert reporting_hooks(12, 100)["logger"]["interval"] == 1
    assert reporting_hooks(5000, 100)["logger"]["interval"] == 10


def test_names_of_folders_need_no_quotation_marks():
    assert safe_name("my photos (é)") == "my_photos____"
    assert safe_name("") == "data"


def test_earlier_runs_are_not_overwritten(tmp_path):
    check_out(tmp_path / "new", overwrite=False)
    (tmp_path / "epoch_1.pth").touch()
    with pytest.raises(WorkDirError, match=r"mim-plugins resume .*--overwrite"):
        check_out(tmp_path, overwrite=False)
    check_out(tmp_path, overwrite=True)


def test_config_is_written_beside_the_work_folder(tmp_path):
    out = tmp_path / "a/run.v2"
    written = write_config(out, "x = 1\n", overwrite=False)
    assert written == config_path(out) == tmp_path / "a/run.v2.py"
    assert config_path(out).read_text() == "x = 1\n"
    (tmp_path / "file").touch()
    with pytest.raises(WorkDirError, match="choose another folder with --out"):
        write_config(tmp_path / "file/run", "", overwrite=False)


@pytest.mark.parametrize("out", [".", "", "/", "..", "runs/.."])
def test_folders_without_a_name_are_errors(out):
    with pytest.raises(WorkDirError, match="must end in the name of a folder"):
        check_out(Path(out), overwrite=True)


def test_files_of_others_and_changed_configs_are_kept(tmp_path):
    script, edited = tmp_path / "train.py", tmp_path / "run.py"
    script.write_text("import torch\n")
    edited.write_text(f"# MAE, {WRITTEN_BY} pretrain.\nepochs = 7\n")
    text = f"# MAE, {WRITTEN_BY} pretrain.\nepochs = 3\n"
    for overwrite in (False, True):
        with pytest.raises(WorkDirError, match="was not written by mim-plugins"):
            write_config(tmp_path / "train", text, overwrite)
    with pytest.raises(WorkDirError, match=r"has other settings: .*--overwrite"):
        write_config(tmp_path / "run", text, overwrite=False)
    assert script.read_text() == "import torch\n"
    assert "epochs = 7" in edited.read_text()
    write_config(tmp_path / "run", text, overwrite=True)
    write_config(tmp_path / "run", text, overwrite=False)  # the same settings
    assert edited.read_text() == text
