import pytest
import torch
from mrmae_fakes import BACKBONES, colors_mimic
from tiny_models import TINY_BACKBONES, mixmae_config, mrmae_config

from mim_plugins.registry import MODELS
from mim_plugins.visualization import reconstruction_panels

ENCODERS = {**TINY_BACKBONES, **BACKBONES}


def config(encoder, channels=3, mean=None, decoder=None, head=None, mimics=None, bgr_to_rgb=False):
    """Return the config of the algorithm for an encoder, with contradicting parts of a test."""
    make = mixmae_config if encoder in TINY_BACKBONES else mrmae_config
    cfg = make(dict(ENCODERS[encoder], in_channels=channels), mimics=mimics)
    cfg["decoder"] |= decoder or {}
    cfg["head"] |= head or {}
    std = None if mean is None else [2.0] * len(mean)
    cfg["data_preprocessor"] |= dict(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb)
    return cfg


def pixels(model, channels, count=4):
    images = 255 * torch.rand(count, channels, *model.backbone.img_size)
    return dict(inputs=list(images))


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_pretraining_on_any_number_of_channels(encoder, channels):
    model = MODELS.build(config(encoder, channels, mean=[float(c) for c in range(channels)]))

    batch = model.data_preprocessor(pixels(model, channels), training=True)
    losses = model(**batch, mode="loss")
    sum(losses.values()).backward()

    patch = model.backbone.encoder_stride**2 * channels
    assert model.decoder.pred.out_features == patch
    assert model.head.target(torch.rand(1, channels, 64, 64)).shape[-1] == patch
    assert torch.isfinite(losses["loss_rec"])
    assert all(p.grad is not None for p in model.decoder.parameters() if p.requires_grad)


@pytest.mark.parametrize("encoder", ["pvt", "vit"])
@pytest.mark.parametrize("channels", [1, 4])
def test_reconstructions_of_other_channels_are_drawn(encoder, channels):
    model = MODELS.build(config(encoder, channels, mean=[7.0]))
    images = model.data_preprocessor(pixels(model, channels), False)["inputs"]
    panels = reconstruction_panels(model, images)
    assert {panel.shape[1] for panel in panels.values()} == {3}
    assert all(panel.dtype == torch.uint8 for panel in panels.values())


def test_many_channels_are_normalized_by_their_own_statistics():
    model = MODELS.build(config("vit", 4, mean=[1.0, 2.0, 3.0, 4.0]))
    images = torch.arange(1.0, 5.0).reshape(4, 1, 1).expand(4, 96, 96)
    assert model.data_preprocessor(dict(inputs=[images]), False)["inputs"].abs().max() == 0


@pytest.mark.parametrize("encoder", ["large_windows", "conv_vit"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(channels=4, decoder=dict(out_channels=3)), "decoder.out_channels=3.*must be 4"),
        (dict(decoder=dict(out_channels=1)), "decoder.out_channels=1.*must be 3"),
        (dict(decoder=dict(grid=(5, 7))), r"decoder.grid=\(5, 7\).*must be"),
        (dict(decoder=dict(patch_size=8)), "decoder.patch_size=8.*must be 16"),
        (dict(head=dict(patch_size=8)), "head.patch_size=8.*must be 16"),
        (dict(decoder=dict(in_channels=5)), "decoder.in_channels=5.*must be (32|16)"),
        (dict(channels=4, mean=[1.0] * 3), "mean has 3 values.*in_channels=4"),
        (dict(channels=1, mean=[1.0] * 3), "mean has 3 values.*in_channels=1"),
        (dict(mean=[1.0] * 4), "mean has 4 values.*in_channels=3"),
        (dict(channels=1, bgr_to_rgb=True), "bgr_to_rgb=True.*in_channels=1"),
        (dict(channels=4, bgr_to_rgb=True), "bgr_to_rgb=True.*in_channels=4"),
        (dict(channels=1, mean=[1.0], mimics=dict(c=colors_mimic())), "require RGB"),
        (dict(channels=0), "in_channels=0"),
        (dict(channels="3"), "in_channels='3'"),
        (dict(channels=True), "in_channels=True"),
    ],
)
def test_contradicting_parts_are_refused_when_building(encoder, wrong, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(config(encoder, **wrong))


def test_matching_values_may_be_set():
    given = dict(out_channels=3, grid=[4, 4], patch_size=16)
    model = MODELS.build(config("pvt", decoder=given, head=dict(patch_size=16)))
    assert model.decoder.pred.out_features == 768


class Coarse(torch.nn.Module):
    """Teacher with a fixed grid of tokens, regardless of the requested grid."""

    out_channels, has_cls_attention = 5, False

    def forward(self, images, grid, with_attention=False):
        return torch.zeros(len(images), 49, 5), None


MODELS.register_module(name="CoarseOfDependentPartsTest", module=Coarse, force=True)


@pytest.mark.parametrize("encoder", ["pvt", "vit"])
def test_a_teacher_on_another_grid_is_refused(encoder):
    mimics = dict(coarse=dict(target_generator=dict(type="mim_plugins.CoarseOfDependentPartsTest")))
    model = MODELS.build(config(encoder, mean=[1.0] * 3, mimics=mimics))
    batch = model.data_preprocessor(pixels(model, 3), training=True)
    with pytest.raises(ValueError, match=r"Coarse returns 49 tokens.*set grid_scale"):
        model(**batch, mode="loss")
