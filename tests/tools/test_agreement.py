"""Mismatches that train.py, test.py, knn.py and doctor.py refuse in one line before any step."""

import shutil
from pathlib import Path

import pytest
import torch
from class_folders import PIPELINE, classifier, write_folders
from tool_runs import run_tool

ROOT = Path(__file__).parents[2]


def write_config(folder, classes=3, more=""):
    def loader(split):
        dataset = dict(
            type="CustomDataset", data_root=str(folder / "d"), data_prefix=split, pipeline=PIPELINE
        )
        sampler = dict(type="DefaultSampler", shuffle=False)
        return dict(batch_size=2, num_workers=0, dataset=dataset, sampler=sampler)

    backbone = dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
        img_size=32,
        window_size=4,
        out_type="avg_featmap",
        init_cfg=None,
    )
    settings = dict(
        default_scope="mmpretrain",
        custom_imports=dict(imports=["mim_plugins"]),
        model=dict(
            type="ImageClassifier",
            backbone=backbone,
            head=dict(type="LinearClsHead", num_classes=classes, in_channels=16),
        ),
        data_preprocessor=dict(mean=[0.0] * 3, std=[1.0] * 3, num_classes=classes),
        train_dataloader=loader("train"),
        val_dataloader=loader("val"),
        test_dataloader=loader("val"),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg=dict(),
        test_cfg=dict(),
        val_evaluator=dict(type="Accuracy", topk=(1,)),
        test_evaluator=dict(type="Accuracy", topk=(1,)),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
    )
    file = folder / "config.py"
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    file.write_text("\n".join([*lines, more]))
    return file


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "tools/misc"))
    return lambda tool, *arguments: run_tool(ROOT / "tools" / tool, arguments, monkeypatch, capsys)


def save(folder, names, classes=3):
    """Save a checkpoint with these class names."""
    meta = dict(epoch=1, iter=1, dataset_meta=dict(classes=names) if names else {})
    state = classifier(classes).state_dict()
    torch.save(dict(meta=meta, state_dict=state), folder / "epoch_1.pth")
    return folder / "epoch_1.pth"


def lines(result):
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")]


def test_classes_missing_from_validation_are_refused(run, tmp_path):
    write_folders(tmp_path / "d", "abc", "ac")
    config, checkpoint = write_config(tmp_path), save(tmp_path, ("a", "b", "c"))
    for command in (
        ("train.py", config, "--work-dir", "w"),
        ("test.py", config, checkpoint, "--work-dir", "w"),
        ("analysis_tools/knn.py", config, checkpoint, "--workers", 0, "--device", "cpu"),
    ):
        (line,) = lines(run(*command))
        assert "without 'b'" in line
    assert "FAIL  data and model: val_dataloader" in run("doctor.py", "--config", config).stdout
    assert not list(tmp_path.glob("w/epoch*"))


def test_checkpoint_without_classes_is_compared_to_training_data(run, tmp_path):
    write_folders(tmp_path / "d", "abc", "abx")
    (line,) = lines(run("test.py", write_config(tmp_path), save(tmp_path, None)))
    assert "without 'c' and with 'x' besides" in line


def test_evaluation_without_training_data_checks_the_head(run, tmp_path):
    write_folders(tmp_path / "d", "abc", "ac")
    shutil.rmtree(tmp_path / "d/train")
    (line,) = lines(run("test.py", write_config(tmp_path), save(tmp_path, None)))
    assert "2 classes, but model.head.num_classes=3" in line


def test_more_classes_than_the_head_are_refused(run, tmp_path):
    write_folders(tmp_path / "d", "abc")
    config, checkpoint = write_config(tmp_path, 2), save(tmp_path, None, classes=2)
    for command in (
        ("train.py", config, "--work-dir", "w"),
        ("test.py", config, checkpoint, "--work-dir", "w"),
    ):
        (line,) = lines(run(*command))
        assert "has 3 classes, but model.head.num_classes=2" in line
    report = run("doctor.py", "--config", config).stdout
    assert "FAIL  data and model: train_dataloader.dataset" in report


def test_fewer_classes_than_the_head_has_are_allowed(run, tmp_path):
    write_folders(tmp_path / "d", "ab")
    config = write_config(tmp_path, 3)
    assert "WARN  train_dataloader.dataset" in run("doctor.py", "--config", config).stdout
    result = run("train.py", config, "--work-dir", "w")
    assert result.returncode == 0
    (file,) = tmp_path.glob("w/*/*.log")
    assert "1 outputs of the head are unused" in file.read_text()
    assert run("test.py", config, "w/epoch_1.pth", "--work-dir", "w").returncode == 0


def test_topk_above_the_number_of_classes_is_refused(run, tmp_path):
    write_folders(tmp_path / "d", "abc")
    config = write_config(tmp_path, more="val_evaluator['topk'] = (1, 5)")
    (line,) = lines(run("train.py", config, "--work-dir", "w"))
    assert line.startswith("error: val_evaluator: Accuracy has topk=(1, 5)")
    assert "MIM_PLUGINS_TRACEBACK" not in line


def test_images_of_the_wrong_size_are_refused(run, tmp_path):
    write_folders(tmp_path / "d", "abc")
    config = write_config(tmp_path, more="model['backbone']['img_size'] = (32, 64)")
    (line,) = lines(run("train.py", config, "--work-dir", "w"))
    assert "images are 32x32 pixels" in line
    assert "set model.backbone.img_size" in line


def test_head_width_different_from_the_backbone_is_refused(run, tmp_path):
    write_folders(tmp_path / "d", "abc")
    config = write_config(tmp_path, more="model['head']['in_channels'] = 768")
    (line,) = lines(run("train.py", config, "--work-dir", "w"))
    assert "do not pass through ImageClassifier" in line


def test_images_with_the_wrong_channels_are_refused(run, tmp_path):
    write_folders(tmp_path / "d", "abc")
    config = write_config(
        tmp_path,
        more="model['backbone']['in_channels'] = 1\n"
        "data_preprocessor.update(mean=[0.0], std=[1.0])",
    )
    arguments = (config, "--random", "--k", 1, "--workers", 0, "--device", "cpu")
    (line,) = lines(run("analysis_tools/knn.py", *arguments))
    assert "references: images have 3 channels, but backbone.in_channels=1" in line
