"""The base class, with towers whose values are known."""

import copy
import pickle
import warnings

import pytest
import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.runner.checkpoint import get_state_dict, save_checkpoint
from torch import nn

from mim_plugins.targets import OpenCLIPTarget, TargetGenerator, TeacherOutput, TimmTarget, Tower

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.4, 0.25)


class PatchMeans(Tower):
    """Tower whose features are the patches' mean colors, times a weight, plus a position."""

    def __init__(self, patch_size=14, grid=(4, 4), attends=True):
        super().__init__()
        self.patch_size, self.grid, self.out_channels = patch_size, grid, 3
        self.has_cls_attention = attends
        self.color = nn.Linear(3, 3)
        nn.init.eye_(self.color.weight)
        nn.init.zeros_(self.color.bias)
        self.position = nn.Parameter(torch.zeros(grid[0] * grid[1], 3))
        self.drop = nn.Dropout(0.5)
        self.seen = []

    def forward(self, images, with_attention):
        self.seen.append(images)
        patches = F.avg_pool2d(images, self.patch_size).flatten(2).transpose(1, 2)
        features = self.drop(self.color(patches)) + self.position
        return features, patches.mean(dim=2).softmax(dim=1) if with_attention else None

    def resize(self, grid):
        self.grid = grid
        self.position = nn.Parameter(self.position.new_zeros(grid[0] * grid[1], 3))


@pytest.fixture
def tower():
    return PatchMeans()


@pytest.fixture
def target(tower):
    return TargetGenerator(tower, MEAN, STD)


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


def normalized(pixels):
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def test_pixels_of_the_right_size_are_normalized_and_not_resized(target, tower):
    pixels = torch.rand(2, 3, 56, 56)
    target(pixels, (4, 4))
    assert torch.equal(tower.seen[0], normalized(pixels))


def test_pixels_are_resized_to_full_patches_within_their_range(target, tower):
    pixels = (torch.rand(2, 3, 64, 64) > 0.5).float()  # edges, where bicubic overshoots
    output = target(pixels, (4, 4))
    resized = F.interpolate(pixels, (56, 56), mode="bicubic", antialias=True)
    assert (resized < 0).any()
    assert torch.allclose(tower.seen[0], normalized(resized.clamp(0, 1)))
    assert isinstance(output, TeacherOutput)
    assert output.features.shape == (2, 16, 3)
    assert output.attention is None


@pytest.mark.parametrize("grid", [(14, 14), (12, 12), (10, 14)])
@pytest.mark.parametrize("patch_size", [14, 16])
def test_student_and_teacher_tokens_have_the_same_index(grid, patch_size):
    target = TargetGenerator(PatchMeans(patch_size), MEAN, STD)
    plain = torch.full((1, 3, grid[0] * 16, grid[1] * 16), 0.5)
    before = target(plain, grid).features
    for row, column in [(0, 0), (3, 9), (9, 3), (grid[0] - 1, grid[1] - 1)]:
        pixels = plain.clone()
        pixels[:, :, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = 1.0
        change = (target(pixels, grid).features - before).abs().sum(dim=2)[0]
        assert change.argmax() == row * grid[1] + column


def test_attention_comes_only_if_asked_for(target):
    pixels = torch.rand(2, 3, 56, 56)
    assert target(pixels, (4, 4)).attention is None
    assert target(pixels, (4, 4), with_attention=True).attention.shape == (2, 16)


def test_normalized_features_have_mean_zero_and_variance_one():
    target = TargetGenerator(PatchMeans(), MEAN, STD, normalize=True)
    pixels = torch.rand(2, 3, 56, 56)
    features = target(pixels, (4, 4)).features
    plain = TargetGenerator(PatchMeans(), MEAN, STD)(pixels, (4, 4)).features
    assert torch.allclose(features.mean(dim=2), torch.zeros(2, 16), atol=1e-5)
    assert torch.allclose(features, F.layer_norm(plain, (3,)))


def test_other_grids_are_made_once_and_share_the_weights(target, tower):
    for _ in range(3):
        target(torch.rand(1, 3, 80, 48), (5, 3))
    other = target._towers[5, 3]

    assert len(target._towers) == 2
    assert len(other.seen) == 3
    assert other.color.weight is tower.color.weight
    assert other.position.shape == (15, 3)
    assert tower.position.shape == (16, 3)
    assert not other.position.requires_grad
    assert not other.training


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


def test_the_tower_follows_images_to_a_device_nobody_moved_it_to(target):
    output = target(torch.rand(1, 3, 64, 64, device="meta"), (4, 4))
    assert output.features.device.type == "meta"


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


def test_the_students_autocast_applies_unless_dtype_is_set():
    pixels = torch.rand(1, 3, 56, 56)
    towers = {dtype: PatchMeans() for dtype in (None, "float32", "bfloat16", "float16")}
    targets = {dtype: TargetGenerator(t, MEAN, STD, dtype=dtype) for dtype, t in towers.items()}
    exact = targets[None](pixels, (4, 4)).features
    with torch.autocast("cpu", torch.bfloat16):
        inside = {dtype: t(pixels, (4, 4)).features for dtype, t in targets.items()}
    outside = {dtype: t(pixels, (4, 4)).features for dtype, t in targets.items()}

    assert {features.dtype for features in inside.values()} == {torch.float32}
    assert torch.equal(inside["float32"], exact)
    assert torch.equal(inside["float16"], exact)  # on CPU
    for rounded in (inside[None], inside["bfloat16"], outside["bfloat16"]):
        assert not torch.equal(rounded, exact)
        assert torch.allclose(rounded, exact, atol=2e-2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        targets["float32"](pixels, (4, 4))


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ValueError, match="dtype='half': use None or one of float32, float16"):
        TargetGenerator(PatchMeans(), MEAN, STD, dtype="half")
    target = TargetGenerator(PatchMeans(attends=False), MEAN, STD)
    with pytest.raises(ValueError, match="with_attention=True: the attention of this teacher"):
        target(torch.rand(1, 3, 56, 56), (4, 4), with_attention=True)
    for pixels in (torch.rand(3, 56, 56), torch.rand(1, 4, 56, 56), torch.ones(1, 3, 56, 56).int()):
        with pytest.raises(ValueError, match="pixels: expected RGB floats"):
            target(pixels, (4, 4))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
@pytest.mark.parametrize("library", ["open_clip", "timm"])
def test_teachers_can_be_copied_before_and_after_use(request, library, copied):
    request.getfixturevalue(library)
    build = dict(
        open_clip=lambda: OpenCLIPTarget("tiny-clip", pretrained=None),
        timm=lambda: TimmTarget("test_vit", pretrained=None),
    )
    with pytest.warns(UserWarning, match="random network"):
        teacher = build[library]()
    pixels, other = torch.rand(2, 3, 64, 64), copied(teacher)
    for grid in ((4, 4), (6, 6)):
        expected = teacher(pixels, grid).features
        assert torch.equal(other(pixels, grid).features, expected)
        assert torch.equal(copied(teacher)(pixels, grid).features, expected)


class Block(nn.Module):
    """A block that can be compiled."""

    def __init__(self):
        super().__init__()
        self.color = nn.Linear(3, 3)

    def forward(self, x):
        return self.color(x).relu()


class Blocks(PatchMeans):
    """A tower with a block."""

    def __init__(self):
        super().__init__()
        self.color = Block()

    def blocks(self):
        return [self.color]


def test_compiling_covers_the_towers_of_all_grids():
    target = TargetGenerator(Blocks(), MEAN, STD)
    pixels = torch.rand(2, 3, 56, 56)
    before = target(pixels, (4, 4)).features
    graphs = []
    torch._dynamo.reset()

    def backend(module, _):
        graphs.append(module)
        return module.forward

    target.compile_blocks(backend=backend, dynamic=False)
    assert torch.equal(target(pixels, (4, 4)).features, before)
    assert len(graphs) == 1
    target(pixels, (2, 2))
    assert len(graphs) == 2  # of another number of tokens
