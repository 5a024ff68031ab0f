import pytest
import torch
from mmengine.runner import Runner
from tiny_models import TINY_BACKBONES
from tiny_run import ToyModel, toy_runner
from torch import nn

from mim_plugins.engine.resume.model_settings import compare_settings, read_settings
from mim_plugins.errors import CheckpointError
from mim_plugins.registry import MODELS


class Run:
    def __init__(self, model):
        self.model = model


def swin(**changes):
    return Run(MODELS.build(TINY_BACKBONES["shifted_windows"] | changes))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict(shift_windows=False), "shifted is True in the file, False in the model"),
        (dict(window_size=3, frozen_stages=1), ""),
        (dict(with_cp=True), ""),
        (dict(drop_path_rate=0.3), ""),
    ],
)
def test_settings_that_change_the_network_are_found(changes, named):
    structure, _ = compare_settings(swin(**changes), read_settings(swin()))
    assert (named in structure) if named else structure == ""


class Net(ToyModel):
    def __init__(self, act=nn.GELU, eps=1e-5, mask_ratio=0.5, mean=0.0, stride=1):
        super().__init__()
        self.act, self.norm = act(), nn.LayerNorm(2, eps=eps)
        self.conv = nn.Conv2d(1, 1, 1, stride=stride)
        self.mask_ratio = mask_ratio
        self.register_buffer("mean", torch.tensor([mean]), persistent=False)
        self.steps = 0

    def forward(self, inputs, data_samples=None, mode="loss"):
        self.steps += 1
        return super().forward(inputs, data_samples, mode)


def train(work_dir, log=None, resume=False, **settings):
    runner = toy_runner(
        work_dir, Net(**settings), iterations=2 + resume, runner=Runner, resume=resume
    )
    if log:
        runner.logger.addHandler(log)
    runner.train()


@pytest.mark.parametrize(
    "changed", [dict(act=nn.ReLU), dict(eps=1e-3), dict(stride=2)], ids=["type", "eps", "stride"]
)
def test_resuming_with_another_network_is_refused(tmp_path, changed):
    train(tmp_path)
    with pytest.raises(CheckpointError, match="of another model than the config's"):
        train(tmp_path, resume=True, **changed)


@pytest.mark.parametrize("changed", [dict(mask_ratio=0.75), dict(mean=0.5)])
def test_other_settings_are_a_warning(tmp_path, caplog, changed):
    train(tmp_path)
    train(tmp_path, caplog.handler, resume=True, **changed)
    (name,) = changed
    assert f"Resuming: model.{name}" in caplog.text


def test_equal_models_have_no_difference(tmp_path, caplog):
    train(tmp_path)
    train(tmp_path, caplog.handler, resume=True)
    assert "in the file" not in caplog.text
