import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch import nn

from mim_plugins.masking import MixedImages, mix
from mim_plugins.registry import MODELS
from mim_plugins.targets import TeacherOutput

STRIDE = 16


def random_images(batch_size=4, size=64):
    return dict(inputs=list(torch.randint(0, 256, (batch_size, 3, size, size), dtype=torch.uint8)))


def mixed_batch(mixmae, batch_size=4, size=64):
    return mixmae.data_preprocessor(random_images(batch_size, size), training=True)["inputs"]


def slow_loss(batch, pred_own, pred_partner):
    """Compute the mean over images, tokens and values by loops over images and mask cells."""
    images, mask = batch.images.double().numpy(), batch.mask.numpy()
    partner = batch.partner.tolist()
    errors = []
    for image in range(len(images)):
        for row, col in np.ndindex(*mask.shape[1:]):
            pixels = images[
                image, :, row * STRIDE : (row + 1) * STRIDE, col * STRIDE : (col + 1) * STRIDE
            ]
            values = pixels.transpose(1, 2, 0).reshape(-1)
            target = (values - values.mean()) / np.sqrt(values.var(ddof=1) + 1e-6)
            token = row * mask.shape[2] + col
            if mask[image % len(mask), row, col]:  # masked in its own mixture
                prediction = pred_own[image, token]
            else:  # masked in the mixture where it is the partner
                prediction = pred_partner[partner.index(image), token]
            errors.append((prediction.double().numpy() - target) ** 2)
    return np.mean(errors)


@pytest.mark.parametrize("batch_size", [2, 3])
def test_the_loss_is_finite_and_reaches_every_parameter(mixmae, batch_size):
    losses = mixmae(mixed_batch(mixmae, batch_size), mode="loss")
    losses["loss_rec"].backward()

    assert losses["loss_rec"].isfinite()
    for name, parameter in mixmae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("per_pair", [False, True])
@pytest.mark.parametrize("batch_size", [2, 3, 4, 5])
def test_the_loss_equals_a_slow_reference(mixmae_config, batch_size, per_pair):
    mixmae_config["data_preprocessor"]["batch_transform"]["per_pair"] = per_pair
    mixmae = MODELS.build(mixmae_config).eval()
    batch = mixed_batch(mixmae, batch_size)

    with torch.no_grad():
        loss = mixmae.loss(batch)["loss_rec"]
        tokens = mixmae.backbone.forward_mixed(batch.mixed, batch.mask)
        pred_own, pred_partner = mixmae.decoder(tokens, batch.mask)

    assert loss.item() == pytest.approx(slow_loss(batch, pred_own, pred_partner), rel=1e-5)


@pytest.mark.parametrize("per_pair", [False, True])
@pytest.mark.parametrize("changed_side", ["own", "partner"])
def test_tokens_are_independent_of_the_other_image(mixmae_config, changed_side, per_pair):
    mixmae_config["data_preprocessor"]["batch_transform"]["per_pair"] = per_pair
    mixmae = MODELS.build(mixmae_config).eval()
    batch = mixed_batch(mixmae)
    changed_cells = batch.mask if changed_side == "partner" else ~batch.mask
    pixels = changed_cells.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)[:, None]
    changed = torch.where(pixels, 3 * torch.randn_like(batch.mixed), batch.mixed)

    with torch.no_grad():
        before = mixmae.backbone.forward_mixed(batch.mixed, batch.mask)
        after = mixmae.backbone.forward_mixed(changed, batch.mask)

    other = changed_cells.flatten(1).expand(4, -1)
    assert torch.equal(before[~other], after[~other])
    assert (before[other] - after[other]).abs().amax(dim=1).min() > 1e-3


def test_a_masked_patch_does_not_influence_its_prediction(mixmae):
    mixmae.eval()
    batch = mixed_batch(mixmae)
    other = MixedImages(torch.randn_like(batch.images), None, batch.mask, batch.partner)
    # image 0 changes where it is masked in mixture 0
    hidden = batch.mask.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)[:, None]
    images = torch.where(hidden, other.images, batch.images)
    mixed = mix(images, batch.mask, batch.partner)

    with torch.no_grad():
        before, _ = mixmae.decoder(
            mixmae.backbone.forward_mixed(batch.mixed, batch.mask), batch.mask
        )
        after, _ = mixmae.decoder(mixmae.backbone.forward_mixed(mixed, batch.mask), batch.mask)

    assert torch.equal(before, after)


def test_training_on_one_batch_lowers_the_loss(mixmae):
    # two ramps give two different targets, each equal for all patches of its image
    ramp = torch.linspace(0, 255, 64)
    inputs = [ramp.expand(3, 64, 64), ramp[:, None].expand(3, 64, 64)]
    batch = mixmae.data_preprocessor(dict(inputs=inputs), training=True)["inputs"]
    optimizer = torch.optim.AdamW(mixmae.parameters(), lr=3e-3)

    losses = []
    for _ in range(60):
        loss = mixmae(batch, mode="loss")["loss_rec"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    # predicting zero costs 1, predicting the mean of both targets 0.5
    assert losses[0] > 0.9
    assert losses[-1] < 0.4


@pytest.mark.parametrize("batch_size", [2, 3])
def test_reconstruction_keeps_visible_pixels(mixmae, batch_size):
    batch = mixed_batch(mixmae, batch_size)

    own, partner = mixmae.reconstruct(batch)

    assert own.shape == partner.shape == batch.images.shape
    hidden = batch.mask.repeat_interleave(STRIDE, 1).repeat_interleave(STRIDE, 2)
    hidden = hidden[:, None].expand_as(own)
    partner_images = batch.images[batch.partner]
    assert torch.equal(own[~hidden], batch.images[~hidden])
    assert torch.equal(partner[hidden], partner_images[hidden])
    assert not torch.isclose(own[hidden], batch.images[hidden]).all()
    assert not torch.isclose(partner[~hidden], partner_images[~hidden]).all()
    assert not own.requires_grad


def test_reconstruction_from_perfect_predictions_is_the_original(mixmae):
    class PerfectDecoder(nn.Module):
        def forward(self, tokens, mask):
            target = mixmae.head.target(batch.images)
            return target, target[batch.partner]

    batch = mixed_batch(mixmae, 3)
    mixmae.decoder = PerfectDecoder()

    own, partner = mixmae.reconstruct(batch)

    assert torch.allclose(own, batch.images, atol=1e-4)
    assert torch.allclose(partner, batch.images[batch.partner], atol=1e-4)
    assert mixmae.loss(batch)["loss_rec"].item() == 0


def test_the_seed_determines_the_loss(mixmae):
    data = random_images()

    def loss_of(seed):
        torch.manual_seed(seed)
        batch = mixmae.data_preprocessor(copy.deepcopy(data), training=True)["inputs"]
        return mixmae(batch, mode="loss")["loss_rec"].item()

    assert loss_of(1) == loss_of(1)
    assert loss_of(1) != loss_of(2)


def test_a_training_step_of_mmengine_changes_the_weights(mixmae):
    optimizer = OptimWrapper(torch.optim.SGD(mixmae.parameters(), lr=0.1))
    before = copy.deepcopy(mixmae.state_dict())

    logged = mixmae.train_step(random_images(), optimizer)

    assert logged["loss"].isfinite()
    for name, _ in mixmae.named_parameters():
        assert not torch.equal(mixmae.state_dict()[name], before[name]), name


def test_other_image_sizes_can_be_trained_on(mixmae):
    losses = mixmae(mixed_batch(mixmae, size=96), mode="loss")

    assert losses["loss_rec"].isfinite()


def test_tensor_mode_gives_the_features_of_the_backbone(mixmae):
    mixmae.eval()
    images = torch.randn(2, 3, 64, 64)

    features = mixmae(images)

    assert [tuple(feature.shape) for feature in features] == [(2, 32, 4, 4)]
    assert torch.equal(features[0], mixmae.backbone(images)[0])


def test_another_mode_is_refused(mixmae):
    with pytest.raises(ValueError, match="mode='predict'"):
        mixmae(torch.randn(2, 3, 64, 64), mode="predict")


def test_a_batch_of_one_is_refused(mixmae):
    with pytest.raises(ValueError, match="batch_size=1"):
        mixed_batch(mixmae, batch_size=1)


def test_building_twice_does_not_change_the_config(mixmae_config):
    before = copy.deepcopy(mixmae_config)

    first, second = MODELS.build(mixmae_config), MODELS.build(mixmae_config)

    assert mixmae_config == before
    second.load_state_dict(first.state_dict())


def test_width_stride_and_grid_come_from_the_backbone(mixmae):
    assert mixmae.decoder.embed.in_features == 32
    assert mixmae.decoder.pos_embed.shape[1:3] == (4, 4)
    assert mixmae.decoder.pred.out_features == STRIDE * STRIDE * 3
    assert mixmae.head.patch_size == STRIDE
    assert mixmae.data_preprocessor.batch_transform.encoder_stride == STRIDE


def test_a_backbone_without_forward_mixed_is_refused(mixmae_config):
    class Plain(nn.Module):
        pass

    MODELS.register_module(name="PlainForTest", module=Plain, force=True)
    mixmae_config["backbone"] = dict(type="mim_plugins.PlainForTest")

    with pytest.raises(ValueError, match=r"Plain has no forward_mixed.*MaskedSwin"):
        MODELS.build(mixmae_config)


@pytest.mark.parametrize("kind", ["mim_plugins.MixDataPreprocessor", "ImgDataPreprocessor"])
def test_a_preprocessor_that_does_not_mix_is_refused(mixmae_config, kind):
    mixmae_config["data_preprocessor"] = dict(type=kind)

    with pytest.raises(ValueError, match=r"data_preprocessor.*batch_transform"):
        MODELS.build(mixmae_config)


def test_a_ratio_that_masks_nothing_is_refused_when_building(mixmae_config):
    mixmae_config["data_preprocessor"]["batch_transform"]["mask_ratio"] = 0.05  # of 16 cells

    with pytest.raises(ValueError, match=r"mask_ratio=0\.05 masks 0 of 16 cells"):
        MODELS.build(mixmae_config)


def test_the_bfloat16_loss_is_close_to_float32(mixmae):
    batch = mixed_batch(mixmae)
    expected = mixmae(batch, mode="loss")["loss_rec"].item()

    with torch.autocast("cpu", torch.bfloat16):
        loss = mixmae(batch, mode="loss")["loss_rec"]
    loss.backward()

    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=0.05)
    assert all(parameter.grad.isfinite().all() for parameter in mixmae.parameters())


def test_a_checkpoint_of_another_image_size_is_loaded(mixmae_config):
    saved = MODELS.build(mixmae_config)
    mixmae_config["backbone"]["img_size"] = 96

    MODELS.build(mixmae_config).load_state_dict(saved.state_dict())


class Colors(nn.Module):
    """Teacher with fixed mixtures of the mean color of each token as features."""

    has_cls_attention = False

    def __init__(self, out_channels=5, seed=0):
        super().__init__()
        self.out_channels = out_channels
        generator = torch.Generator().manual_seed(seed)
        mixture = 3 * torch.randn(3, out_channels, generator=generator)
        self.register_buffer("mixture", mixture, persistent=False)
        self.grids = []

    def forward(self, pixels, grid, with_attention=False):
        self.grids.append(grid)
        colors = F.adaptive_avg_pool2d(pixels, grid).flatten(2).transpose(1, 2)
        return TeacherOutput(colors @ self.mixture, None)


MODELS.register_module(name="ColorsOfMixMAETest", module=Colors, force=True)
COLORS = dict(type="mim_plugins.ColorsOfMixMAETest")


def colorful_images(batch_size, grid=(4, 4)):
    """Return RGB images with a random color per cell, and noise."""
    colors = torch.randint(20, 236, (batch_size, 3, *grid))
    cells = colors.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)
    return (cells + torch.randint(-20, 20, cells.shape)).to(torch.uint8)


def slow_mimic_loss(mimic, tokens, pixels, batch, from_own_image=True):
    """Compute the mean squared error of projected tokens to the colors of their own image."""
    head, mixture = mimic.head, mimic.target_generator.mixture.double().numpy()
    weight, bias = head.proj.weight.double().numpy(), head.proj.bias.double().numpy()
    mask, partner = batch.mask.numpy(), batch.partner.tolist()
    errors = []
    for mixture_index in range(len(pixels)):
        for row, col in np.ndindex(*mask.shape[1:]):
            is_partner = mask[mixture_index % len(mask), row, col]
            source = partner[mixture_index] if is_partner == from_own_image else mixture_index
            cell = pixels[
                source, :, row * STRIDE : (row + 1) * STRIDE, col * STRIDE : (col + 1) * STRIDE
            ]
            target = cell.double().numpy().mean(axis=(1, 2)) @ mixture
            token = tokens[mixture_index, row * mask.shape[2] + col].double().numpy()
            errors.append(((weight @ token + bias - target) ** 2).mean())
    return np.mean(errors)


@pytest.mark.parametrize("per_pair", [False, True])
@pytest.mark.parametrize("batch_size", [2, 3, 5])
@torch.no_grad()
def test_every_token_mimics_the_teacher_at_its_own_position(mixmae_config, batch_size, per_pair):
    mixmae_config["data_preprocessor"]["batch_transform"]["per_pair"] = per_pair
    mixmae = MODELS.build(mixmae_config | dict(mimics=dict(t=dict(target_generator=COLORS)))).eval()
    pixels = colorful_images(batch_size)
    batch = mixmae.data_preprocessor(dict(inputs=list(pixels)), training=True)["inputs"]

    loss = mixmae.loss(batch)["loss_mimic"].item()

    tokens = mixmae.backbone.forward_mixed(batch.mixed, batch.mask)
    arguments = (mixmae.mimics["t"], tokens, pixels.float() / 255, batch)
    assert loss == pytest.approx(slow_mimic_loss(*arguments), rel=1e-4)
    of_the_other = slow_mimic_loss(*arguments, from_own_image=False)
    assert abs(loss - of_the_other) > 2e-3 * loss


def test_without_teachers_reconstruction_is_the_only_loss(mixmae):
    assert set(mixmae.loss(mixed_batch(mixmae))) == {"loss_rec"}
    assert len(mixmae.mimics) == 0


def test_losses_carry_the_mimic_name_only_among_several(mixmae_config):
    one = MODELS.build(mixmae_config | dict(mimics=dict(clip=dict(target_generator=COLORS))))
    two = MODELS.build(
        mixmae_config
        | dict(mimics=dict(clip=dict(target_generator=COLORS), dino=dict(target_generator=COLORS)))
    )

    assert set(one.loss(mixed_batch(one))) == {"loss_rec", "loss_mimic"}
    assert set(two.loss(mixed_batch(two))) == {"loss_rec", "loss_mimic_clip", "loss_mimic_dino"}


def test_a_teacher_does_not_change_the_reconstruction(mixmae_config):
    plain = MODELS.build(mixmae_config).eval()
    with_teacher = MODELS.build(
        mixmae_config | dict(mimics=dict(t=dict(target_generator=COLORS)))
    ).eval()
    with_teacher.load_state_dict(plain.state_dict(), strict=False)
    batch = mixed_batch(plain)

    assert torch.equal(plain.loss(batch)["loss_rec"], with_teacher.loss(batch)["loss_rec"])


def test_the_mimic_loss_reaches_encoder_and_head_with_its_weight(mixmae_config):
    mimics = dict(t=dict(target_generator=COLORS, weight=2.0, distance="smooth_l1"))
    mixmae = MODELS.build(mixmae_config | dict(mimics=mimics))
    batch = mixed_batch(mixmae)

    loss = mixmae.loss(batch)["loss_mimic"]
    loss.backward()
    mixmae.mimics["t"].weight = 1.0

    assert loss.item() == pytest.approx(2 * mixmae.loss(batch)["loss_mimic"].item(), rel=1e-5)
    for part in (mixmae.backbone, mixmae.mimics):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
    assert all(parameter.grad is None for parameter in mixmae.decoder.parameters())


def test_a_finer_teacher_is_evaluated_on_its_own_grid(mixmae_config):
    mimics = dict(t=dict(target_generator=COLORS, grid_scale=2))
    mixmae = MODELS.build(mixmae_config | dict(mimics=mimics))

    losses = mixmae.loss(mixed_batch(mixmae))

    assert mixmae.mimics["t"].target_generator.grids == [(8, 8)]
    assert losses["loss_mimic"].isfinite()


def test_teachers_need_a_preprocessor_that_normalizes(mixmae_config):
    for key in ("mean", "std"):
        del mixmae_config["data_preprocessor"][key]
    mixmae = MODELS.build(mixmae_config | dict(mimics=dict(t=dict(target_generator=COLORS))))

    with pytest.raises(ValueError, match="mean and std"):
        mixmae.loss(mixed_batch(mixmae))


def test_fusion_layers_are_refused_when_building(mixmae_config):
    mimics = dict(t=dict(target_generator=COLORS, fusion_layers=(0,)))

    with pytest.raises(ValueError, match="fusion_layers"):
        MODELS.build(mixmae_config | dict(mimics=mimics))


def test_training_on_one_batch_lowers_the_mimic_loss(mixmae_config):
    mixmae = MODELS.build(mixmae_config | dict(mimics=dict(t=dict(target_generator=COLORS))))
    inputs = dict(inputs=list(colorful_images(2)))
    batch = mixmae.data_preprocessor(inputs, training=True)["inputs"]
    optimizer = torch.optim.AdamW(mixmae.parameters(), lr=5e-3)

    history = []
    for _ in range(30):
        losses = mixmae(batch, mode="loss")
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append(losses["loss_mimic"].item())

    assert history[-1] < 0.5 * history[0]


def test_a_backbone_may_have_no_use_for_plans(mixmae_config):
    class Own(MODELS.get(mixmae_config["backbone"]["type"])):
        def forward_mixed(self, images, mask):
            return super().forward_mixed(images, mask)

    mixmae_config["backbone"]["type"] = Own
    model = MODELS.build(mixmae_config)
    batch = mixed_batch(model)
    assert batch.plan is None
    assert model.loss(batch)["loss_rec"].isfinite()


def test_a_plan_of_the_preprocessor_changes_no_loss(mixmae):
    batch = mixed_batch(mixmae.eval())
    assert batch.plan is not None
    unplanned = MixedImages(batch.images, batch.mixed, batch.mask, batch.partner)
    assert torch.equal(mixmae.loss(batch)["loss_rec"], mixmae.loss(unplanned)["loss_rec"])
