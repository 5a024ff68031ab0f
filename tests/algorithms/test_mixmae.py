import numpy as np
import pytest
import torch
from mrmae_fakes import STRIDE, colors_mimic, enlarge, prepared, random_pixels
from torch import nn

from mim_plugins.masking import MixedImages, mix
from mim_plugins.registry import MODELS


def mixed_batch(mixmae, batch_size=4):
    return prepared(mixmae, torch.randint(256, (batch_size, 3, 64, 64), dtype=torch.uint8))


@pytest.fixture(params=[False, True])
def per_pair_config(request, mixmae_config):
    """Config of a MixMAE with a teacher and a mask for all images, or for each pair."""
    mixmae_config["data_preprocessor"]["batch_transform"]["per_pair"] = request.param
    return mixmae_config | dict(mimics=dict(t=colors_mimic()))


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


@pytest.mark.parametrize("batch_size", [2, 3, 4, 5])
@torch.no_grad()
def test_the_losses_equal_slow_references(per_pair_config, batch_size):
    mixmae, pixels = MODELS.build(per_pair_config).eval(), random_pixels(batch_size, 4, 4)
    batch = prepared(mixmae, pixels)
    losses = mixmae.loss(batch)
    tokens = mixmae.backbone.forward_mixed(batch.mixed, batch.mask)
    expected = slow_loss(batch, *mixmae.decoder(tokens, batch.mask))
    assert losses["loss_rec"].item() == pytest.approx(expected, rel=1e-5)

    loss = losses["loss_mimic"].item()
    arguments = (mixmae.mimics["t"], tokens, pixels.float() / 255, batch)
    assert loss == pytest.approx(slow_mimic_loss(*arguments), rel=1e-4)
    of_the_other = slow_mimic_loss(*arguments, from_own_image=False)
    assert abs(loss - of_the_other) > 2e-3 * loss


@pytest.mark.parametrize("changed_side", ["own", "partner"])
@torch.no_grad()
def test_tokens_are_independent_of_the_other_image(per_pair_config, changed_side):
    mixmae = MODELS.build(per_pair_config).eval()
    batch = mixed_batch(mixmae)
    changed_cells = batch.mask if changed_side == "partner" else ~batch.mask
    pixels = enlarge(changed_cells)[:, None]
    changed = torch.where(pixels, 3 * torch.randn_like(batch.mixed), batch.mixed)
    before, after = (
        mixmae.backbone.forward_mixed(images, batch.mask) for images in (batch.mixed, changed)
    )
    other = changed_cells.flatten(1).expand(4, -1)
    assert torch.equal(before[~other], after[~other])
    assert (before[other] - after[other]).abs().amax(dim=1).min() > 1e-3


@torch.no_grad()
def test_a_masked_patch_does_not_influence_its_prediction(mixmae):
    batch = mixed_batch(mixmae.eval())
    # image 0 changes where it is masked in mixture 0
    hidden = enlarge(batch.mask)[:, None]
    images = torch.where(hidden, torch.randn_like(batch.images), batch.images)
    before, after = (
        mixmae.decoder(mixmae.backbone.forward_mixed(mixed, batch.mask), batch.mask)[0]
        for mixed in (batch.mixed, mix(images, batch.mask, batch.partner))
    )
    assert torch.equal(before, after)


def test_training_on_one_batch_lowers_both_losses(mixmae_config):
    mixmae = MODELS.build(mixmae_config | dict(mimics=dict(t=colors_mimic())))
    # two ramps give two different targets, each equal for all patches of its image
    ramp = torch.linspace(0, 255, 64)
    batch = prepared(mixmae, [ramp.expand(3, 64, 64), ramp[:, None].expand(3, 64, 64)])
    optimizer = torch.optim.AdamW(mixmae.parameters(), lr=8e-3)

    history = []
    for _ in range(60):
        losses = mixmae(batch, mode="loss")
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})

    # predicting zero costs 1, predicting the mean of both targets 0.5
    assert history[0]["loss_rec"] > 0.9
    assert history[-1]["loss_rec"] < 0.4
    assert history[-1]["loss_mimic"] < 0.1 * history[0]["loss_mimic"]


@pytest.mark.parametrize("batch_size", [2, 3])
def test_reconstruction_keeps_visible_pixels(mixmae, batch_size):
    batch = mixed_batch(mixmae, batch_size)
    own, partner = mixmae.reconstruct(batch)

    assert own.shape == partner.shape == batch.images.shape
    hidden = enlarge(batch.mask)[:, None].expand_as(own)
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


def test_the_mixing_gets_the_stride_and_refuses_a_batch_of_one(mixmae):
    assert mixmae.data_preprocessor.batch_transform.encoder_stride == STRIDE
    with pytest.raises(ValueError, match="batch_size=1"):
        mixed_batch(mixmae, batch_size=1)


@pytest.mark.parametrize("kind", ["mim_plugins.MixDataPreprocessor", "ImgDataPreprocessor"])
def test_a_preprocessor_that_does_not_mix_is_refused(mixmae_config, kind):
    mixmae_config["data_preprocessor"] = dict(type=kind)
    with pytest.raises(ValueError, match=r"data_preprocessor.*batch_transform"):
        MODELS.build(mixmae_config)


def test_a_ratio_that_masks_nothing_is_refused_when_building(mixmae_config):
    mixmae_config["data_preprocessor"]["batch_transform"]["mask_ratio"] = 0.05  # of 16 cells
    with pytest.raises(ValueError, match=r"mask_ratio=0\.05 masks 0 of 16 cells"):
        MODELS.build(mixmae_config)


def test_the_weight_is_a_factor_of_the_mimic_loss(mixmae_config):
    mimics = dict(t=colors_mimic(weight=2.0, distance="smooth_l1"))
    mixmae = MODELS.build(mixmae_config | dict(mimics=mimics))
    batch = mixed_batch(mixmae)
    loss = mixmae.loss(batch)["loss_mimic"]
    mixmae.mimics["t"].weight = 1.0
    assert loss.item() == pytest.approx(2 * mixmae.loss(batch)["loss_mimic"].item(), rel=1e-5)


def test_a_finer_teacher_is_evaluated_on_its_own_grid(mixmae_config):
    mixmae = MODELS.build(mixmae_config | dict(mimics=dict(t=colors_mimic(grid_scale=2))))
    losses = mixmae.loss(mixed_batch(mixmae))
    assert mixmae.mimics["t"].target_generator.calls == [((8, 8), False)]
    assert losses["loss_mimic"].isfinite()


def test_fusion_layers_are_refused_when_building(mixmae_config):
    with pytest.raises(ValueError, match="fusion_layers"):
        MODELS.build(mixmae_config | dict(mimics=dict(t=colors_mimic(fusion_layers=(0,)))))


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
