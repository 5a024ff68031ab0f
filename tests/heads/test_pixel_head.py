import pytest
import torch

from mim_plugins.heads import PixelHead
from mim_plugins.layers import patchify


@pytest.fixture
def images():
    return torch.randn(2, 3, 8, 12) * 3 + 1


@pytest.mark.parametrize("norm_pix", [True, False])
def test_loss_is_zero_when_the_prediction_is_the_target(images, norm_pix):
    head = PixelHead(patch_size=4, norm_pix=norm_pix)
    assert head(head.target(images), images) == 0


def test_loss_is_the_mean_squared_error_over_all_values(images):
    head = PixelHead(patch_size=4)
    prediction = torch.randn(2, 6, 48)
    prediction.requires_grad_()
    loss = head(prediction, images)
    loss.backward()
    difference = (prediction - head.target(images)).double()
    assert loss.item() == pytest.approx((difference**2).mean().item(), rel=1e-5)
    assert (prediction.grad != 0).all()


def test_targets_are_patches_with_mean_zero_and_variance_one(images):
    target = PixelHead(patch_size=4).target(images)
    assert target.shape == (2, 6, 48)
    assert torch.allclose(target.mean(dim=-1), torch.zeros(2, 6), atol=1e-5)
    assert torch.allclose(target.var(dim=-1), torch.ones(2, 6), atol=1e-4)


def test_the_target_of_a_patch_of_one_color_is_zero():
    target = PixelHead(patch_size=4).target(torch.full((1, 3, 4, 4), 7.0))
    assert torch.equal(target, torch.zeros(1, 1, 48))


@pytest.mark.parametrize("norm_pix", [True, False])
def test_denormalize_patches_undoes_the_target(images, norm_pix):
    head = PixelHead(patch_size=4, norm_pix=norm_pix)
    target, patches = head.target(images), patchify(images, 4)
    assert torch.allclose(head.denormalize_patches(target, images), patches, atol=1e-5)
    assert torch.equal(target, patches) is not norm_pix


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_is_computed_in_float32(images, dtype, masked):
    head, prediction = PixelHead(patch_size=4), torch.randn(2, 6, 48).to(dtype)
    mask = torch.rand(2, 6) < 0.5 if masked else None
    loss = head(prediction, images, mask)
    assert loss.dtype == torch.float32
    assert loss == head(prediction.float(), images, mask)
    assert head.denormalize_patches(prediction, images).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert head(prediction.float(), images, mask) == loss


def test_with_a_mask_the_loss_averages_masked_patches(images):
    head, prediction = PixelHead(patch_size=4), torch.randn(2, 6, 48)
    mask = torch.tensor(
        [[1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 0]]
    ).bool()  # different numbers of masked patches

    difference = (prediction - head.target(images)).double()

    places = [(0, 0), (0, 3), (0, 4), (1, 2)]
    expected = sum((difference[place] ** 2).mean().item() for place in places) / len(places)
    assert head(prediction, images, mask).item() == pytest.approx(expected, rel=1e-5)
    assert head(prediction, images).item() != pytest.approx(expected, rel=1e-3)


def test_predictions_of_visible_patches_do_not_matter(images):
    head, mask = PixelHead(patch_size=4), torch.rand(2, 6) < 0.5
    prediction = torch.randn(2, 6, 48, requires_grad=True)
    changed = torch.where(mask[..., None], prediction, 100.0)
    loss = head(prediction, images, mask)
    loss.backward()
    assert torch.equal(loss, head(changed, images, mask))
    assert (prediction.grad[~mask] == 0).all()
    assert (prediction.grad[mask] != 0).all()


def test_the_loss_is_zero_when_the_masked_patches_are_predicted(images):
    head, mask = PixelHead(patch_size=4), torch.rand(2, 6) < 0.5
    prediction = torch.where(mask[..., None], head.target(images), 5.0)
    assert head(prediction, images, mask) == 0
    assert head(prediction, images, ~mask) > 1


def test_masking_every_patch_equals_no_mask(images):
    head, prediction = PixelHead(patch_size=4), torch.randn(2, 6, 48)
    loss = head(prediction, images, torch.ones(2, 6, dtype=torch.bool))
    assert loss.item() == pytest.approx(head(prediction, images).item(), rel=1e-6)
