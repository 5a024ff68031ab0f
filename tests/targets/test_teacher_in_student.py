"""A teacher inside the model that learns its features."""

import copy

import pytest
import torch
import torch.nn.functional as F
from known_towers import MEAN, STD, normalized
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.runner.checkpoint import get_state_dict, save_checkpoint
from torch import nn

from mim_plugins.targets import TargetGenerator, Tower


class Student(BaseModel):
    """A model of MMEngine that learns the teacher's features."""

    def __init__(self, target):
        super().__init__()
        self.target = target
        self.proj = nn.Linear(3, 3)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        output = self.target(inputs, (4, 4))
        student = F.avg_pool2d(inputs, 16).flatten(2).transpose(1, 2)
        return dict(loss=(self.proj(student) - output.features).square().mean())


def test_the_teacher_is_in_no_parameter_module_or_state_dict(target):
    model = Student(target)
    assert [name for name, _ in model.named_parameters()] == ["proj.weight", "proj.bias"]
    assert sorted(model.state_dict()) == ["proj.bias", "proj.weight"]
    assert list(target.buffers()) == list(target.children()) == []
    assert not any(isinstance(module, Tower) for module in model.modules())


def test_a_checkpoint_lacks_the_teacher_and_loads_strictly(target, tmp_path):
    model = Student(target)
    path = str(tmp_path / "epoch_1.pth")
    save_checkpoint(dict(state_dict=get_state_dict(model)), path)
    saved = torch.load(path, weights_only=True)["state_dict"]
    assert sorted(saved) == ["proj.bias", "proj.weight"]
    model.load_state_dict(saved, strict=True)


def test_training_moves_the_student_and_leaves_the_teacher(target, tower):
    model = Student(target).train()
    before = copy.deepcopy(tower.state_dict())
    weight = model.proj.weight.detach().clone()
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type="SGD", lr=0.1)))
    model.train_step(dict(inputs=torch.rand(2, 3, 64, 64)), wrapper)
    assert not torch.equal(model.proj.weight, weight)
    assert all(torch.equal(tower.state_dict()[key], before[key]) for key in before)
    assert all(parameter.grad is None for parameter in tower.parameters())


def test_the_teacher_stays_in_eval_without_gradient(target, tower):
    Student(target).train()
    pixels = torch.rand(1, 3, 56, 56, requires_grad=True)
    first, second = (target(pixels, (4, 4)) for _ in range(2))

    assert target.training
    assert not any(module.training for module in tower.modules())
    assert torch.equal(first.features, second.features)
    assert not first.features.requires_grad
    assert not first.features.is_inference()  # a loss must be able to save it for backward
    assert not any(parameter.requires_grad for parameter in tower.parameters())


def test_init_weights_does_not_reach_the_teacher(target, tower):
    before = tower.color.weight.clone()
    model = Student(target)
    model.init_cfg = dict(type="Constant", layer="Linear", val=7.0)
    model.init_weights()
    assert (model.proj.weight == 7).all()
    assert torch.equal(tower.color.weight, before)


def test_deepcopy_is_independent_and_equal(target):
    pixels = torch.rand(1, 3, 64, 64)
    expected = target(pixels, (3, 3)).features
    clone = copy.deepcopy(Student(target)).target
    for tower in target._towers.values():
        for parameter in tower.parameters():
            parameter.data.zero_()

    assert torch.equal(clone(pixels, (3, 3)).features, expected)
    first, second = clone._towers.values()
    assert first.color.weight is second.color.weight


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_to_moves_every_tower_and_keeps_constants_exact(target, dtype):
    pixels = torch.rand(1, 3, 64, 64)
    expected = target(pixels, (3, 3)).features
    target(pixels, (4, 4))
    Student(target).to(dtype)

    for tower in target._towers.values():
        assert {parameter.dtype for parameter in tower.parameters()} == {dtype}
    assert target._constants.dtype == torch.float32
    output = target(pixels, (3, 3)).features
    assert output.dtype == torch.float32
    assert torch.allclose(output, expected, atol=2e-2)
    assert target._towers[3, 3].color.weight is target._towers[4, 4].color.weight


def test_to_device_reaches_the_tower(target, tower):
    Student(target).to("meta")
    assert {parameter.device.type for parameter in tower.parameters()} == {"meta"}
    assert target._constants.device.type == "meta"


class FixedColors(Tower):
    """Tower of mean colors without a parameter, and with the tensors named in ``contents``."""

    patch_size, grid, out_channels, has_cls_attention = 14, (4, 4), 3, False

    def __init__(self, contents):
        super().__init__()
        if "counter" in contents:
            self.register_buffer("counter", torch.zeros((), dtype=torch.long))
        if "filter" in contents:
            self.register_buffer("filter", torch.full((3, 1, 14, 14), 1 / 196))
        if "parameter" in contents:
            self.filter = nn.Parameter(torch.full((3, 1, 14, 14), 1 / 196))

    def forward(self, images, with_attention):
        filters = getattr(self, "filter", images.new_full((3, 1, 14, 14), 1 / 196))
        return F.conv2d(images, filters, stride=14, groups=3).flatten(2).transpose(1, 2), None

    def resize(self, grid):
        self.grid = grid


@pytest.mark.parametrize("contents", [(), ("counter",), ("counter", "filter"), ("parameter",)])
@pytest.mark.parametrize("half", [False, True])
def test_a_teacher_may_have_no_parameter(contents, half):
    target = TargetGenerator(FixedColors(contents), MEAN, STD)
    pixels = torch.rand(2, 3, 84, 84)
    expected = F.avg_pool2d(normalized(pixels), 14).flatten(2).transpose(1, 2)
    if half:
        Student(target).half()
    for _ in range(2):
        features = target(pixels, (6, 6)).features
        assert features.dtype == target._constants.dtype == torch.float32
        assert torch.allclose(features, expected, atol=4e-3 if half else 1e-5)

    moved = target(pixels.to("meta"), (6, 6)).features  # moves constants and buffers
    assert moved.device.type == target._constants.device.type == "meta"
