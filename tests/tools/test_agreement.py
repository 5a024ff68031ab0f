"""Mismatches that train.py, test.py, knn.py and doctor.py refuse in one line before any step."""

import shutil

import pytest
import torch
from class_folders import classifier, finetune_config
from image_folders import write_classes
from tool_runs import run_tool

KNN = "analysis_tools/knn.py"


def write_config(folder, classes=3, more=""):
    normal = dict(mean=[0.0] * 3, std=[1.0] * 3, num_classes=classes)
    settings = finetune_config(folder / "d", classes) | dict(
        custom_imports=dict(imports=["mim_plugins"]), data_preprocessor=normal
    )
    file = folder / "config.py"
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    file.write_text("\n".join([*lines, more]))
    return file


@pytest.fixture(autouse=True)
def _in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def error_of(*command):
    (line,) = (x for x in run_tool(*command, code=1).stderr.splitlines() if x.startswith("error: "))
    return line


def doctor(config, code=0):
    return run_tool("misc/doctor.py", "--config", config, code=code).stdout


def save(folder, names, classes=3):
    """Save a checkpoint with these class names."""
    meta = dict(epoch=1, iter=1, dataset_meta=dict(classes=names) if names else {})
    state = classifier(classes).state_dict()
    torch.save(dict(meta=meta, state_dict=state), folder / "epoch_1.pth")
    return folder / "epoch_1.pth"


def test_classes_missing_from_validation_are_refused(tmp_path):
    write_classes(tmp_path / "d", "abc", "ac")
    config, checkpoint = write_config(tmp_path), save(tmp_path, ("a", "b", "c"))
    for command in (
        ("train.py", config, "--work-dir", "w"),
        ("test.py", config, checkpoint, "--work-dir", "w"),
        (KNN, config, checkpoint, "--workers", 0, "--device", "cpu"),
    ):
        assert "without 'b'" in error_of(*command)
    assert "FAIL  data and model: val_dataloader" in doctor(config, 1)
    assert not list(tmp_path.glob("w/epoch*"))


def test_checkpoint_without_classes_is_compared_to_training_data(tmp_path):
    write_classes(tmp_path / "d", "abc", "abx")
    line = error_of("test.py", write_config(tmp_path), save(tmp_path, None))
    assert "without 'c' and with additional 'x'" in line


def test_evaluation_without_training_data_checks_the_head(tmp_path):
    write_classes(tmp_path / "d", "abc", "ac")
    shutil.rmtree(tmp_path / "d/train")
    line = error_of("test.py", write_config(tmp_path), save(tmp_path, None))
    assert "2 classes, but model.head.num_classes=3" in line


def test_more_classes_than_the_head_are_refused(tmp_path):
    write_classes(tmp_path / "d", "abc")
    config, checkpoint = write_config(tmp_path, 2), save(tmp_path, None, classes=2)
    for command in (("train.py", config), ("test.py", config, checkpoint)):
        line = error_of(*command, "--work-dir", "w")
        assert "has 3 classes, but model.head.num_classes=2" in line
    assert "FAIL  data and model: train_dataloader.dataset" in doctor(config, 1)


def test_fewer_classes_than_the_head_has_are_allowed(tmp_path):
    write_classes(tmp_path / "d", "ab")
    config = write_config(tmp_path, 3)
    assert "WARN  train_dataloader.dataset" in doctor(config)
    run_tool("train.py", config, "--work-dir", "w")
    (file,) = tmp_path.glob("w/*/*.log")
    assert "1 outputs of the head are unused" in file.read_text()
    run_tool("test.py", config, "w/epoch_1.pth", "--work-dir", "w")


CHANNELS = """
model['backbone']['in_channels'] = 1
data_preprocessor.update(mean=[0.0], std=[1.0])
"""


@pytest.mark.parametrize(
    ("more", "messages"),
    [
        (
            "val_evaluator['topk'] = (1, 5)",
            ["error: val_evaluator: Accuracy has topk=(1, 5)"],
        ),
        ("model['head']['in_channels'] = 768", ["do not pass through ImageClassifier"]),
    ],
)
def test_settings_that_contradict_the_data_are_refused(tmp_path, more, messages):
    write_classes(tmp_path / "d")
    line = error_of("train.py", write_config(tmp_path, more=more), "--work-dir", "w")
    for message in messages:
        assert message in line
    assert "MIM_PLUGINS_TRACEBACK" not in line


def test_images_with_the_wrong_channels_are_refused(tmp_path):
    write_classes(tmp_path / "d")
    config = write_config(tmp_path, more=CHANNELS)
    line = error_of(KNN, config, "--random", "--k", 1, "--workers", 0, "--device", "cpu")
    assert "references: images have 3 channels, but backbone.in_channels=1" in line
