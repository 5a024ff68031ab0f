"""Weights of RGB images, used for other numbers of channels."""

import pytest
import torch
import torch.nn.functional as F
from tiny_models import PLAIN_BACKBONES, TINY_BACKBONES, mixmae_config, mrmae_config

from mim_plugins.checkpoints import load_pretrained
from mim_plugins.checkpoints.inflation import inflate_channels
from mim_plugins.errors import CheckpointError
from mim_plugins.registry import MODELS

BACKBONES = {name: TINY_BACKBONES[name] for name in ("large_windows", "pvt")} | {
    name: PLAIN_BACKBONES[name] for name in ("vit", "conv_vit")
}
SIX = [2, 1, 0, 0, 1, 2]


def build(name, channels):
    return MODELS.build(dict(BACKBONES[name], in_channels=channels)).eval()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return RGB backbones and files of their weights, by name."""
    folder, found = tmp_path_factory.mktemp("rgb"), {}
    for name in BACKBONES:
        torch.manual_seed(0)
        backbone = build(name, 3)
        path = folder / f"{name}.pth"
        torch.save({f"backbone.{key}": value for key, value in backbone.state_dict().items()}, path)
        found[name] = backbone, path
    return found


def inflated(trained, name, channels, inflate):
    backbone, path = trained[name]
    model = build(name, channels)
    load_pretrained(model, path, "backbone.", inflate)
    return backbone, model


def assert_same_features(one, images, other, others_images):
    with torch.no_grad():
        for expected, found in zip(one(images), other(others_images), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("channels", [1, 2, 13])
def test_copies_of_gray_have_the_features_of_gray_rgb(trained, name, channels):
    rgb, model = inflated(trained, name, channels, True)
    gray = torch.rand(2, 1, *rgb.img_size)
    assert_same_features(rgb, gray.expand(-1, 3, -1, -1), model, gray.expand(-1, channels, -1, -1))


@pytest.mark.parametrize("name", BACKBONES)
def test_copies_of_assigned_channels_have_the_features_of_rgb(trained, name):
    rgb, model = inflated(trained, name, 6, SIX)
    images = torch.rand(2, 3, *rgb.img_size)
    assert_same_features(rgb, images, model, images[:, SIX])


@pytest.mark.parametrize("name", BACKBONES)
def test_channels_without_a_source_have_no_influence_at_first(trained, name):
    rgb, model = inflated(trained, name, 5, [None, 2, 1, 0, None])
    images = torch.rand(2, 5, *rgb.img_size)
    assert_same_features(rgb, images[:, [3, 2, 1]], model, images)
    assert all(parameter.requires_grad for parameter in model.parameters() if parameter.ndim == 4)


@pytest.mark.parametrize("inflate", [True, SIX])
def test_inflation_is_linear_in_the_weights(inflate):
    first, second = torch.rand(2, 4, 3, 2, 2, dtype=torch.float64)
    both = inflate_channels(first + second, 6, inflate)
    parts = inflate_channels(first, 6, inflate) + inflate_channels(second, 6, inflate)
    torch.testing.assert_close(both, parts)
    assert F.conv2d(torch.rand(1, 6, 4, 4).double(), both).shape == (1, 4, 3, 3)


@pytest.mark.parametrize("inflate", [True, SIX])
@pytest.mark.parametrize("make", [mixmae_config, mrmae_config])
def test_decoder_predicts_each_channel_like_its_source(tmp_path, make, inflate):
    backbone = BACKBONES["pvt" if make is mixmae_config else "vit"]
    torch.manual_seed(0)
    rgb = MODELS.build(make(backbone))
    torch.save(rgb.state_dict(), tmp_path / "x.pth")
    cfg = make(dict(backbone, in_channels=6))
    cfg["data_preprocessor"] |= dict(mean=[0.0], std=[1.0], bgr_to_rgb=False)
    init = dict(type="Pretrained", checkpoint=str(tmp_path / "x.pth"), inflate=inflate)
    model = MODELS.build(dict(cfg, init_cfg=init))
    model.init_weights()
    tokens = torch.rand(2, rgb.decoder.pred.in_features)
    theirs = rgb.decoder.pred(tokens).unflatten(1, (-1, 3))
    expected = theirs.mean(dim=2, keepdim=True) if inflate is True else theirs[..., SIX]
    found = model.decoder.pred(tokens).unflatten(1, (-1, 6))
    torch.testing.assert_close(found, expected.expand_as(found))
    torch.testing.assert_close(model.decoder.embed.weight, rgb.decoder.embed.weight)


@pytest.mark.parametrize(
    "inflate", [[0, 1], [0, 1, 2, 3, 0, 0], [-1] * 6, [None] * 6, ["0"] * 6, [True] * 6, "RGB"]
)
def test_wrong_assignments_are_refused(trained, inflate):
    with pytest.raises(CheckpointError, match="must be True, or a list of 6 entries"):
        inflated(trained, "vit", 6, inflate)


def test_channels_are_only_adapted_on_request(trained):
    with pytest.raises(CheckpointError, match="add inflate=True to init_cfg to adapt the weights"):
        inflated(trained, "vit", 6, None)


def test_equal_channels_are_loaded_unchanged(trained):
    rgb, model = inflated(trained, "vit", 3, True)
    assert torch.equal(model.patch_embed.weight, rgb.patch_embed.weight)
