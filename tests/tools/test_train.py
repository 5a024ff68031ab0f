"""tools/train.py, dist_train.sh and test.py as a user calls them, on tiny models and images."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from free_port import free_port
from image_folders import write_images
from tool_runs import TOOLS, run_process, run_tool
from train_runs import BACKBONE, losses, state_dict, train, write_config

from mim_plugins.apis import read_config


@pytest.fixture
def finetune_config(tmp_path):
    loader = dict(batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False)
    return write_config(
        tmp_path / "tiny_finetune.py",
        "mixmae/swin_b_finetune_100e.py",
        dict(
            model=dict(backbone=BACKBONE, head=dict(num_classes=2, in_channels=64)),
            data_preprocessor=dict(num_classes=2),
            train_dataloader=loader,
            val_dataloader=loader,
            test_dataloader=loader,
            train_cfg=dict(max_epochs=1, val_interval=1),
        ),
        "pipeline = _base_.test_pipeline\n"
        "pipeline[1]['scale'] = pipeline[2]['crop_size'] = 64\n"
        "for loader in (train_dataloader, val_dataloader, test_dataloader):\n"
        "    loader['dataset'] = dict(type='CustomDataset', _delete_=True,\n"
        "        data_root='', data_prefix='val', pipeline=pipeline)\n"
        "del loader\n"
        "val_evaluator = test_evaluator = dict(topk=(1,))\n",
    )


@pytest.mark.parametrize("layout", ["classes", "annotation"])
def test_both_layouts_of_the_data_are_read(tmp_path, pretrain_config, layout):
    options = [f"data_root={tmp_path / 'data'}", "train_cfg.max_epochs=1"]
    for name in ("cat", "dog"):
        write_images(tmp_path / "data/train" / name, 4, (70, 90))
    if layout == "annotation":
        listed = (f"{name}/{i:02d}.jpg {label}\n" for label, name in enumerate(("cat", "dog"))
                  for i in range(2))  # fmt: skip
        (tmp_path / "data/list.txt").write_text("".join(listed))
        options.append("train_dataloader.dataset.ann_file=list.txt")
    printed = train(
        pretrain_config, "--work-dir", tmp_path / "run", "--cfg-options", *options
    ).stdout
    assert f"Training on {8 if layout == 'classes' else 4} images" in printed


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (None, ["there is no data folder", "--data-root"]),
        (0, ["no images in", "--data-root"]),
        (3, ["fewer than one batch"]),
    ],
)
def test_missing_and_small_folders_exit_with_one_line(tmp_path, pretrain_config, count, expected):
    data = tmp_path / "data"
    if count is not None:
        write_images(data, count, (70, 90))
    arguments = ("--work-dir", tmp_path / "run", "--data-root", data)
    error = train(pretrain_config, *arguments, code=1).stderr
    for part in (*expected, str(data)) if count != 3 else expected:
        assert part in error


def test_errors_before_the_first_epoch_are_one_line(tmp_path, arguments):
    wrong = (*arguments, tmp_path / "run", "--cfg-options", "optim_wrapper.optimizer.type=AdamV")
    message = "LayerDecayOptimWrapperConstructor: optimizer.type='AdamV'"
    assert f"error: {message}" in train(*wrong, code=1).stderr
    with pytest.raises(ValueError, match=message):
        train(*wrong[:-2], "--traceback", *wrong[-2:])


def test_written_config_is_that_of_a_longer_run_on_a_gpu(tmp_path, arguments):
    config, *_ = arguments
    train(*arguments, tmp_path / "run", "--epochs", "1")
    written, given = read_config(tmp_path / "run" / config.name), read_config(config)
    assert written.param_scheduler == given.param_scheduler
    assert written.optim_wrapper == given.optim_wrapper
    assert written.train_cfg.max_epochs == 1


def test_two_processes_train_on_the_cpu(tmp_path, arguments):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    config, *rest = arguments
    printed = run_process(
        "bash", TOOLS / "dist_train.sh", config, 2, *rest, tmp_path / "run",
        "--cfg-options", "train_cfg.max_epochs=1", PORT=str(free_port()), PATH=path,
    ).stdout  # fmt: skip
    assert "global batch 8 = 2 processes * 4 images" in printed
    assert (tmp_path / "run/epoch_1.pth").is_file()
    assert len(losses(tmp_path / "run")) == 1


def test_fine_tune_from_a_pre_training_checkpoint_and_evaluate(
    tmp_path, pretrain_config, finetune_config
):
    for folder in ("train/x", "val/cat", "val/dog"):
        write_images(tmp_path / "data" / folder, 4, (70, 90))
    data = ("--data-root", tmp_path / "data", "--work-dir")
    train(pretrain_config, *data, tmp_path / "pre", "--cfg-options", "train_cfg.max_epochs=1")
    pretrained = tmp_path / "pre/epoch_1.pth"

    train(finetune_config, *data, tmp_path / "fine", "--cfg-options",
          f"model.backbone.init_cfg.checkpoint={pretrained}",
          "optim_wrapper.optimizer.lr=0.0")  # fmt: skip
    tuned = state_dict(tmp_path / "fine/epoch_1.pth")
    for name, tensor in state_dict(pretrained).items():
        if name.startswith("backbone."):
            assert torch.equal(tuned[name], tensor), name

    config_of_run = tmp_path / "fine" / Path(finetune_config).name
    before = config_of_run.read_bytes()
    run_tool("test.py", finetune_config, tmp_path / "fine/epoch_1.pth", *data, tmp_path / "fine",
             "--out", tmp_path / "metrics.json")  # fmt: skip
    assert 0 <= json.loads((tmp_path / "metrics.json").read_text())["accuracy/top1"] <= 100
    assert config_of_run.read_bytes() == before


def test_evaluating_a_pre_training_config_is_refused(pretrain_config):
    assert "no test data" in run_tool("test.py", pretrain_config, "none.pth", code=1).stderr


def test_real_images_lower_the_loss(tmp_path, pretrain_config):
    data = os.environ.get("MIM_PLUGINS_DATA")
    if not data:
        pytest.skip("MIM_PLUGINS_DATA is not set: no real images")
    train(
        pretrain_config, "--data-root", Path(data) / "imagenet_sample", "--work-dir",
        tmp_path / "run", "--cfg-options", "train_dataloader.batch_size=20",
        "train_cfg.max_epochs=4", "param_scheduler.0.end=1",
    )  # fmt: skip
    values = losses(tmp_path / "run")
    assert len(values) == 40
    assert np.mean(values[-5:]) < np.mean(values[:5]) - 0.02
