"""Teachers with feature maps: our features against the library's own."""

import copy

import pytest
import torch

from mim_plugins.targets import OpenCLIPTarget, TimmTarget
from mim_plugins.targets.map_tower import MapTower, timm_tower

SWIN = dict(embed_dim=16, depths=(2, 2), num_heads=(1, 2), window_size=4, img_size=64)
HIERA = dict(embed_dim=16, num_heads=1, stages=(1, 1, 1, 1))
# name in timm: changes that make it small
MODELS = {
    "test_resnet": {},
    "test_convnext": {},
    "test_convnext3": {},
    "test_efficientnet": {},
    "test_byobnet": {},
    "test_mambaout": {},
    "test_nfnet": {},
    "swin_tiny_patch4_window7_224": SWIN,
    "hiera_tiny_224": HIERA,
    "fastvit_mci0": dict(layers=(1, 1, 1, 1)),
}
FIXED = ["hiera_tiny_224"]  # accept only their native image size
CHANNELS_LAST = ["swin_tiny_patch4_window7_224", "test_mambaout"]
LAST_NORM = ["test_convnext", "test_convnext3", "swin_tiny_patch4_window7_224"]


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@pytest.fixture
def build(timm):
    def build_model(name, **options):
        torch.manual_seed(0)
        return timm.create_model(name, **MODELS[name], **options).eval()

    return build_model


def images_for(tower):
    torch.manual_seed(1)
    return torch.randn(2, 3, *(side * tower.patch_size for side in tower.grid))


@torch.no_grad()
@pytest.mark.parametrize("stage", [-1, -2, 1])
def test_a_stage_is_that_of_features_only(build, name, stage):
    model, pyramid = build(name), build(name, features_only=True)
    weights = {key.replace(".", "_"): value for key, value in model.state_dict().items()}
    for key, value in pyramid.state_dict().items():  # timm renames them
        value.copy_(weights[key.replace(".", "_").removeprefix("model_")])
    tower = timm_tower(model, stage, name)
    images = images_for(tower)

    index = stage % len(pyramid.feature_info.channels())
    expected = pyramid(images)[index]
    if name in CHANNELS_LAST:
        expected = expected.permute(0, 3, 1, 2)  # from (B, h, w, D)
    tokens, attention = tower(images, False)
    assert tower.patch_size == pyramid.feature_info.reduction()[index]
    assert attention is None
    assert tokens.shape == (2, tower.grid[0] * tower.grid[1], tower.out_channels)
    assert torch.allclose(tokens, expected.flatten(2).transpose(1, 2), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", LAST_NORM)
def test_norm_is_that_of_forward_features(build, name):
    model = build(name)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    tower = timm_tower(copy.deepcopy(model), "norm", name)
    images = images_for(tower)
    expected = model.forward_features(images)
    if name in CHANNELS_LAST:
        expected = expected.permute(0, 3, 1, 2)  # from (B, h, w, D)
    assert torch.allclose(tower(images, False)[0], expected.flatten(2).transpose(1, 2), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(set(MODELS) - set(FIXED)))
@pytest.mark.parametrize("grid", [(6, 6), (2, 4)])
def test_the_grid_of_the_student_is_followed(timm, name, grid):
    options = MODELS[name]
    target = TimmTarget.__new__(TimmTarget)
    torch.manual_seed(0)
    model = timm.create_model(name, **options).eval()
    tower = timm_tower(model, -2, name)
    super(TimmTarget, target).__init__(tower, (0.5,) * 3, (0.5,) * 3)
    native = images_for(tower) / 8 + 0.5
    before = target(native, tower.grid).features
    features = target(torch.rand(2, 3, 64, 64), grid).features
    assert features.shape == (2, grid[0] * grid[1], target.out_channels)
    assert torch.isfinite(features).all()
    assert torch.equal(target(native, tower.grid).features, before)


@pytest.mark.parametrize("name", FIXED)
def test_a_model_of_one_size_is_refused_at_another(build, name):
    tower = timm_tower(build(name), "norm", name)
    with pytest.raises(ValueError, match=r"stage 3 with stride 32 does not give a grid of 6x6"):
        tower.resize((6, 6))


def test_the_probe_of_the_grid_changes_no_statistics(build):
    model = build("test_resnet").train()
    before = copy.deepcopy(model.state_dict())
    timm_tower(model, 1, "test_resnet").resize((8, 8))
    left = model.state_dict()
    assert all(torch.equal(left[key], before[key]) for key in left)
    assert any("running_var" in key for key in left)


def test_stages_behind_the_features_are_removed(build):
    model = build("test_convnext")
    parameters = sum(p.numel() for p in model.parameters())
    tower = timm_tower(model, 1, "test_convnext")
    assert len(tower.trunk.stages) == 2
    assert sum(p.numel() for p in tower.parameters()) < parameters / 2


@pytest.mark.parametrize("features", ["projection", 9, -9, True])
def test_an_unknown_stage_is_refused(build, features):
    with pytest.raises(ValueError, match=r"offers 'norm' or the index of one of its 4 stages"):
        timm_tower(build("test_convnext"), features, "test_convnext")


def test_a_stage_whose_size_is_not_that_of_its_stride_is_refused(timm):
    with torch.device("meta"):
        model = timm.create_model("inception_v3")
    with pytest.raises(ValueError, match=r"does not give a grid of 9x9 .* \(it gives 7x7\)"):
        timm_tower(model, "norm", "inception_v3")


def test_a_model_without_feature_maps_is_refused():
    with pytest.raises(ValueError, match=r"'linear' \(Linear\) has no grid of patch tokens and no"):
        timm_tower(torch.nn.Linear(2, 2), "norm", "linear")


@torch.no_grad()
@pytest.mark.parametrize(("stage", "layer"), [("norm", 4), (-2, 3), (0, 0)])
def test_clips_resnet_gives_its_layers(open_clip, stage, layer):
    with pytest.warns(UserWarning, match="random"):
        target = OpenCLIPTarget("tiny-resnet", None, features=stage)
    tower = next(iter(target._towers.values()))
    assert isinstance(tower, MapTower)
    images = images_for(tower)
    expected = tower.trunk.stem(images)
    for number in range(1, layer + 1):
        expected = getattr(tower.trunk, f"layer{number}")(expected)
    assert torch.equal(tower(images, False)[0], expected.flatten(2).transpose(1, 2))
    grid = (6, 4)
    features = target(torch.rand(1, 3, 64, 64), grid).features
    assert features.shape == (1, 24, target.out_channels)


def test_clips_resnet_has_no_projection_of_cells(open_clip):
    with (
        pytest.warns(UserWarning, match="random"),
        pytest.raises(ValueError, match="features='projection': this teacher offers 'norm' or"),
    ):
        OpenCLIPTarget("tiny-resnet", None)
