"""The base class, with towers whose values are known."""

import copy
import pickle
import warnings

import pytest
import torch
import torch.nn.functional as F
from known_towers import MEAN, STD, PatchMeans, normalized
from torch import nn

from mim_plugins.targets import OpenCLIPTarget, TargetGenerator, TeacherOutput, TimmTarget


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


def test_the_tower_follows_images_to_a_device_nobody_moved_it_to(target):
    output = target(torch.rand(1, 3, 64, 64, device="meta"), (4, 4))
    assert output.features.device.type == "meta"


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
