"""Properties of all algorithms, with a teacher."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from mrmae_fakes import BACKBONES, STRIDE, assert_trained, colors_mimic, prepared, random_pixels
from tiny_models import SMALL_SWIN, TINY_BACKBONES, mixmae_config, mrmae_config
from torch import nn

from mim_plugins.algorithms import PretrainingModel
from mim_plugins.errors import ConfigError

ENCODERS = TINY_BACKBONES | BACKBONES


@pytest.fixture(params=ENCODERS)
def config(request):
    make = mixmae_config if request.param in TINY_BACKBONES else mrmae_config
    return make(ENCODERS[request.param], mimics=dict(t=colors_mimic()))


def losses_of(model, pixels, seed=0):
    torch.manual_seed(seed)
    return model(prepared(model, pixels), mode="loss")


def assert_all_trained(model):
    sum(losses_of(model, random_pixels()).values()).backward()
    assert_trained(model)


@pytest.mark.parametrize("batch_size", [2, 3])
def test_each_loss_is_finite_and_reaches_its_parameters(build, batch_size):
    model = build()
    losses = losses_of(model, random_pixels(batch_size))
    assert set(losses) == {"loss_rec", "loss_mimic"}
    assert all(loss.isfinite() for loss in losses.values())

    losses["loss_rec"].backward(retain_graph=True)
    assert_trained(model.backbone)
    assert_trained(model.decoder)
    assert all(parameter.grad is None for parameter in model.mimics.parameters())

    model.zero_grad()
    losses["loss_mimic"].backward()
    assert_trained(model.backbone)
    assert_trained(model.mimics)
    assert all(parameter.grad is None for parameter in model.decoder.parameters())


def test_the_seed_determines_the_losses(build):
    model, pixels = build(), random_pixels()
    first, second, other = (losses_of(model, pixels, seed) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_a_training_step_changes_weights_and_logs_all_losses(build):
    model = build()
    before = copy.deepcopy(model.state_dict())
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    logged = model.train_step(dict(inputs=list(random_pixels(4))), optimizer)
    total = logged["loss_rec"] + logged["loss_mimic"]
    assert logged["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    for name, _ in model.named_parameters():
        assert not torch.equal(model.state_dict()[name], before[name]), name


@pytest.mark.parametrize("grid", [(4, 4), (4, 8)])
def test_other_image_sizes_can_be_trained_on(build, grid):
    losses = losses_of(build(), random_pixels(2, *grid))
    assert all(loss.isfinite() for loss in losses.values())


def test_bfloat16_losses_are_close_to_float32(build):
    model, pixels = build(), random_pixels()
    expected = losses_of(model, pixels)
    with torch.autocast("cpu", torch.bfloat16):
        losses = losses_of(model, pixels)
    sum(losses.values()).backward()
    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(expected[name].item(), rel=0.05)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_checkpoint_of_another_image_size_is_loaded(build, config):
    larger = build(backbone=config["backbone"] | dict(img_size=128))
    larger.load_state_dict(build().state_dict())
    assert losses_of(larger, random_pixels(2, 8, 8))["loss_rec"].isfinite()


def test_teachers_without_a_normalization_to_undo_are_refused(build, config):
    for key in ("mean", "std"):
        del config["data_preprocessor"][key]
    config["data_preprocessor"]["bgr_to_rgb"] = False
    with pytest.raises(ValueError, match="mean and std"):
        losses_of(build(), random_pixels())
    assert losses_of(build(mimics=None), random_pixels())["loss_rec"].isfinite()


def test_mimic_losses_carry_their_name_only_among_several(build):
    two = build(mimics=dict(clip=colors_mimic(), dino=colors_mimic()))
    none = build(mimics=None)
    assert set(losses_of(two, random_pixels())) == {
        "loss_rec", "loss_mimic_clip", "loss_mimic_dino"
    }  # fmt: skip
    assert set(losses_of(none, random_pixels())) == {"loss_rec"}
    assert len(none.mimics) == 0


def test_a_mimic_that_is_none_is_left_out(build):
    model = build(mimics=dict(clip=None, dino=colors_mimic()))
    assert list(model.mimics) == ["dino"]
    assert set(losses_of(model, random_pixels())) == {"loss_rec", "loss_mimic"}
    assert len(build(mimics=dict(clip=None)).mimics) == 0


@pytest.mark.parametrize(
    ("mimics", "message"),
    [
        (dict(clip="dino"), r"mimics\['clip'\]='dino' must be a config"),
        (dict(clip=None, dino=True), r"mimics\['dino'\]=True must be a config"),
        ([colors_mimic()], r"mimics=\[.* must be a dict of configs"),
        ("clip", "mimics='clip' must be a dict of configs"),
    ],
)
def test_mimics_that_are_no_dicts_are_refused(build, config, mimics, message):
    name = config["type"].removeprefix("mim_plugins.")
    with pytest.raises(ConfigError, match=f"{name}: {message}"):
        build(mimics=mimics)


def test_a_teacher_does_not_change_the_reconstruction(build):
    plain, with_teacher, pixels = build(mimics=None).eval(), build().eval(), random_pixels()
    with_teacher.load_state_dict(plain.state_dict(), strict=False)
    expected = losses_of(plain, pixels)["loss_rec"]
    assert torch.equal(losses_of(with_teacher, pixels)["loss_rec"], expected)


def test_tensor_mode_gives_the_features_of_the_backbone(build):
    model, images = build().eval(), torch.randn(2, 3, 64, 64)
    (features,) = model(images)
    assert features.shape == (2, model.backbone.stage_channels[-1], 4, 4)
    assert torch.equal(features, model.backbone(images)[0])


def test_width_stride_and_grid_come_from_the_backbone(build, config):
    model, grid = build(), config["backbone"]["img_size"] // STRIDE
    width = 32 if config["type"] == "mim_plugins.MixMAE" else 16
    assert model.decoder.embed.in_features == width
    assert model.decoder.pos_embed.shape[1:3] == (grid, grid)
    assert model.decoder.pred.out_features == STRIDE * STRIDE * 3
    assert model.head.patch_size == STRIDE
    assert model.mimics["t"].head.proj.weight.shape == (5, width)


def test_building_twice_does_not_change_the_config(build, config):
    before = copy.deepcopy(config)
    first, second = build(), build()
    assert config == before
    second.load_state_dict(first.state_dict())


def test_a_backbone_of_the_other_kind_is_refused(build, config):
    mixes = config["type"] == "mim_plugins.MixMAE"
    other = BACKBONES["vit"] if mixes else SMALL_SWIN
    method = "forward_mixed.*MaskedSwin" if mixes else "forward_masked"
    name = other["type"].removeprefix("mim_plugins.")
    with pytest.raises(ValueError, match=f"backbone {name} has no {method}"):
        build(backbone=other)


@pytest.mark.parametrize("out_indices", [(0, 1, 2), (0,), (-1, 1)])
def test_outputs_with_norms_that_are_not_trained_are_refused(build, config, out_indices):
    backbone = config["backbone"] | dict(out_indices=out_indices)
    if backbone["type"] == "mim_plugins.MaskedViT":  # without norms of further outputs
        assert_all_trained(build(backbone=backbone))
        return
    with pytest.raises(ConfigError, match=r"backbone\.out_indices=.*leave out_indices out"):
        build(backbone=backbone)


@pytest.mark.parametrize("out_indices", [-1, 2])
def test_the_last_output_may_be_set_explicitly(build, config, out_indices):
    assert_all_trained(build(backbone=config["backbone"] | dict(out_indices=out_indices)))


class Half(PretrainingModel):
    def __init__(self):
        super().__init__(dict(type="MixDataPreprocessor"))
        self.backbone = nn.Identity()

    def loss(self, batch):
        return dict(loss_half=(batch / 2).mean())


def test_modes_choose_between_losses_and_features():
    images = torch.ones(2, 3, 4, 4)
    assert Half()(images, mode="loss")["loss_half"] == 0.5
    assert torch.equal(Half()(images), images)
    with pytest.raises(ValueError, match=r"Half: mode='predict' must be 'loss' or 'tensor'"):
        Half()(images, mode="predict")


def test_a_subclass_must_implement_loss():
    model = PretrainingModel(dict(type="MixDataPreprocessor"))
    with pytest.raises(NotImplementedError):
        model(torch.ones(1, 3, 4, 4), mode="loss")
