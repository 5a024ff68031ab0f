"""Configs in MMEngine's pure Python style, whose types are classes, run as text configs do."""

import pytest
import torch
from image_folders import write_classes

from mim_plugins import extract_features, get_model
from mim_plugins.apis import override_config, read_config
from mim_plugins.cli import ConsoleRunner, enable_exact_resume, resolve_precision, run_config
from mim_plugins.cli.training import train_arguments
from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.engine.loops import ResumableEpochLoop, ResumableIterLoop
from mim_plugins.errors import ConfigError

BASE = """
from mmengine.dataset import DefaultSampler, default_collate
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.optim import AmpOptimWrapper
from mmpretrain.datasets import CenterCrop, CustomDataset, LoadImageFromFile, PackInputs, ResizeEdge
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import CrossEntropyLoss, ImageClassifier, LinearClsHead
from torch.optim import AdamW

from mim_plugins.backbones import MaskedSwin

model = dict(
    type=ImageClassifier,
    backbone=dict(
        type=MaskedSwin, arch=dict(embed_dims=8, depths=[1, 1], num_heads=[1, 2]), img_size=32,
        patch_size=4, window_size=[8, 4], out_type="avg_featmap"),
    head=dict(
        type=LinearClsHead, num_classes=2, in_channels=16, loss=dict(type=CrossEntropyLoss)))
data_preprocessor = dict(num_classes=2, mean=[123.0] * 3, std=[58.0] * 3, to_rgb=True)
steps = [dict(type=LoadImageFromFile), dict(type=ResizeEdge, scale=36),
         dict(type=CenterCrop, crop_size=32), dict(type=PackInputs)]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type=DefaultSampler, shuffle=True),
    collate_fn=dict(type=default_collate),
    dataset=dict(type=CustomDataset, data_root="ROOT", data_prefix="train", pipeline=steps))
test_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type=DefaultSampler, shuffle=False),
    collate_fn=dict(type=default_collate),
    dataset=dict(type=CustomDataset, data_root="ROOT", data_prefix="train", pipeline=steps))
test_evaluator = dict(type=Accuracy, topk=(1,))
test_cfg = dict()
optim_wrapper = dict(
    type=AmpOptimWrapper, dtype="bfloat16", optimizer=dict(type=AdamW, lr=1e-3))
log_level = "ERROR"
"""
RUN = """
from mmengine.config import read_base
with read_base():
    from .base import *

from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from mim_plugins.engine import LossGuardHook, PreemptionHook, StallWatchdogHook

custom_hooks = [
    dict(type=LossGuardHook), dict(type=PreemptionHook), dict(type=StallWatchdogHook)]
"""
LOOPS = {
    "train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=1)": ResumableEpochLoop,
    "train_cfg = dict(type=IterBasedTrainLoop, max_iters=2)": ResumableIterLoop,
    "train_cfg = dict(by_epoch=True, max_epochs=1)": ResumableEpochLoop,
}
HOOKS = [
    "default_scope = None",
    "default_scope = 'mmpretrain'\n"
    "default_hooks = dict(checkpoint=dict(type=CheckpointHook, interval=1))",
]


@pytest.fixture
def write_config(tmp_path):
    """Write a config, based on another one, and its images."""
    write_classes(tmp_path / "data", "ab")

    def write(text=""):
        (tmp_path / "base.py").write_text(BASE.replace("ROOT", str(tmp_path / "data")))
        (tmp_path / "run.py").write_text(f"{RUN}{text}\n")
        return tmp_path / "run.py"

    return write


@pytest.mark.parametrize("hooks", HOOKS)
@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_a_run_has_the_loop_and_the_hook_of_text_configs(tmp_path, write_config, loop, hooks):
    file = write_config(f"{loop}\n{hooks}")
    cfg = run_config.read_config(train_arguments(file, tmp_path / "run"))
    cfg.experiment_name = tmp_path.name  # MMEngine keeps loggers by this name
    run_config.check_data_folders(cfg, ("train_dataloader",))
    if not torch.cuda.is_available():
        assert "float32" in resolve_precision(cfg)
    enable_exact_resume(cfg)

    runner = ConsoleRunner.from_cfg(cfg)
    runner.train()

    assert type(runner.train_loop) is LOOPS[loop]
    assert [type(each) for each in runner.hooks].count(AtomicCheckpointHook) == 1
    assert list((tmp_path / "run").glob("*.pth"))
    assert "AtomicCheckpointHook" in runner.cfg.pretty_text


def test_options_are_compared_as_in_text_configs(write_config):
    cfg = read_config(write_config("train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=1)"))
    override_config(cfg, {"model.backbone.drop_path_rate": 0.1, "train_cfg.val_interval": 2})
    assert cfg.model.backbone.drop_path_rate == 0.1
    for option, message in {
        "model.backbone.drop_path_rat": "mean model.backbone.drop_path_rate",
        "train_dataloader.sampler.shufle": "mean train_dataloader.sampler.shuffle",
        "train_cfg.max_epoch": "mean train_cfg.max_epochs",
        "custom_hooks.1.intervall": "mean custom_hooks.1.interval",
        "optim_wrapper.optimizer.lrr": "mean optim_wrapper.optimizer.lr",
    }.items():
        with pytest.raises(ConfigError, match=message):
            override_config(cfg, {option: 1})


def test_missing_data_is_named(write_config, tmp_path):
    cfg = read_config(write_config())
    run_config.apply_data_root(cfg, str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"nowhere' for CustomDataset; set"):
        run_config.check_data_folders(cfg)


def test_models_and_features_are_those_of_the_config(write_config, tmp_path):
    model = get_model(write_config(), cfg_options={"model.head.num_classes": 3})
    image = tmp_path / "data/train/a/00.png"
    cfg, pipeline = read_config(write_config()), []
    for step in cfg.test_dataloader.dataset.pipeline:
        pipeline.append({key: value for key, value in step.items() if key != "type"})
    pooled, maps = extract_features(model, image)
    assert pipeline[1:3] == [dict(scale=36), dict(crop_size=32)]
    assert model.head.fc.out_features == 3
    assert maps[0].shape == (1, 16, 4, 4)
    assert torch.equal(pooled, maps[0].mean(dim=(2, 3)))
