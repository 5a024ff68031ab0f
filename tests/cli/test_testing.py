import argparse

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from torch import nn

from mim_plugins.cli.run_arguments import add_run_arguments
from mim_plugins.cli.testing import (
    EvaluationRunner,
    prepare_config,
    require_weights,
    use_test_time_augmentation,
)
from mim_plugins.errors import CheckpointError, ConfigError

CONFIG = """
model = dict(type='A', detector=dict(type='B'))
test_dataloader = dict(dataset=dict(type='C', pipeline=['usual']))
"""


@pytest.fixture
def prepared(tmp_path):
    """Return a function that prepares a config with a checkpoint that exists."""

    def prepare(text=CONFIG, checkpoint="epoch_1.pth", tta=False):
        (tmp_path / "run.py").write_text(text)
        (tmp_path / "epoch_1.pth").touch()
        parser = argparse.ArgumentParser()
        add_run_arguments(parser)
        args = parser.parse_args([str(tmp_path / "run.py"), "--work-dir", str(tmp_path / "work")])
        args.checkpoint, args.tta = str(tmp_path / checkpoint), tta
        return prepare_config(args)

    return prepare


def test_weights_are_read_from_the_checkpoint_alone(prepared, tmp_path):
    cfg = prepared()
    assert cfg.load_from == str(tmp_path / "epoch_1.pth")


def test_models_of_any_structure_need_no_other_checkpoint():
    part = BaseModule(init_cfg=dict(type="Pretrained", checkpoint="p"))
    model = nn.ModuleDict(dict(detector=nn.ModuleDict(dict(backbone=part)), neck=nn.ReLU()))
    assert EvaluationRunner.build_model(object.__new__(EvaluationRunner), model) is model
    assert part.init_cfg is None


def test_missing_test_data_and_checkpoints_are_refused(prepared):
    with pytest.raises(ConfigError, match=r"run\.py has no test data; evaluate with a fine-tun"):
        prepared("model = dict(type='A')")
    with pytest.raises(CheckpointError, match=r"there is no checkpoint '.*epoch_2\.pth'"):
        prepared(checkpoint="epoch_2.pth")
    with pytest.raises(ConfigError, match=r"run\.py has no tta_model and tta_pipeline"):
        prepared(tta=True)


def test_test_time_augmentation_wraps_the_model():
    model = dict(type="A", data_preprocessor=dict(mean=[1.0]))
    cfg = Config(
        dict(
            model=model,
            data_preprocessor=dict(mean=[0.0]),
            test_dataloader=dict(dataset=dict(pipeline=["usual"])),
            tta_model=dict(type="Wrapper"),
            tta_pipeline=["flipped"],
        )
    )
    use_test_time_augmentation(cfg, "run.py")
    assert cfg.model.to_dict() == dict(type="Wrapper", module=model)
    assert cfg.data_preprocessor.mean == [1.0]  # that of the wrapped model
    assert cfg.test_dataloader.dataset.pipeline == ["flipped"]


@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_weight_must_be_in_the_checkpoint(tmp_path, prefix):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    file = str(tmp_path / "a.pth")
    tensors = {f"{prefix}{name}": value for name, value in model.state_dict().items()}
    torch.save(dict(state_dict=tensors | {"other": torch.ones(1)}), file)
    require_weights(model, file)
    for name in ("0.bias", "1.running_mean"):
        del tensors[prefix + name]
    torch.save(dict(state_dict=tensors), file)
    with pytest.raises(CheckpointError, match=r"lacks 2 of the model's 7 .* 0\.bias, 1\.running"):
        require_weights(model, file)


def test_constants_of_normalization_may_be_missing(tmp_path):
    model = nn.ModuleDict(dict(data_preprocessor=nn.BatchNorm1d(2), head=nn.Linear(2, 2)))
    file = str(tmp_path / "a.pth")
    weights = {name: value for name, value in model.state_dict().items() if "head" in name}
    torch.save(dict(state_dict=weights), file)
    require_weights(model, file)
