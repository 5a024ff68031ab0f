import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from mrmae_fakes import (
    GRID,
    HIDDEN_TARGET,
    STRIDE,
    TOKENS,
    TOLERANCE,
    VISIBLE,
    assert_trained,
    colors_mimic,
    enlarge,
    fix_mask,
    prepared,
    random_mask,
    random_pixels,
)

from mim_plugins.errors import ConfigError


def slow_mimic_loss(model, name, tokens, pixels, indices):
    """Compute the mean squared error of projected tokens to the colors at ``indices``."""
    mimic = model.mimics[name]
    head, mixture = mimic.head, mimic.target_generator.mixture.double().numpy()
    weight, bias = head.proj.weight.double().numpy(), head.proj.bias.double().numpy()
    errors = []
    for image, row in enumerate(indices.tolist()):
        for place, token in enumerate(row):
            top, left = STRIDE * (token // GRID), STRIDE * (token % GRID)
            cell = pixels[image, :, top : top + STRIDE, left : left + STRIDE].double().numpy()
            target = cell.mean(axis=(1, 2)) @ mixture
            prediction = weight @ tokens[image, place].double().numpy() + bias
            errors.append(((prediction - target) ** 2).mean())
    return np.mean(errors)


def slow_reconstruction_loss(images, prediction, token_mask):
    """Compute the mean over the masked patches of all images, patch by patch."""
    images = images.double().numpy()
    errors = []
    for image in range(len(images)):
        for token in range(TOKENS):
            if token in token_mask.ids_keep[image]:
                continue
            top, left = STRIDE * (token // GRID), STRIDE * (token % GRID)
            values = images[image, :, top : top + STRIDE, left : left + STRIDE]
            values = values.transpose(1, 2, 0).reshape(-1)
            target = (values - values.mean()) / np.sqrt(values.var(ddof=1) + 1e-6)
            errors.append(((prediction[image, token].double().numpy() - target) ** 2).mean())
    return np.mean(errors)


@pytest.fixture
def case(build):
    """Return a model, its images, a fixed mask, and its intermediate results."""
    model, pixels, token_mask = build().eval(), random_pixels(), random_mask()
    fix_mask(model, token_mask)
    images = prepared(model, pixels)
    with torch.no_grad():
        losses = model.loss(images)
        encoded = model.backbone.forward_masked(images, token_mask)
        prediction = model.decoder(
            encoded.tokens, encoded.prefix_tokens, token_mask.ids_restore, (GRID, GRID)
        )
    return SimpleNamespace(
        model=model, images=images, rgb=pixels.flip(1).float() / 255, mask=token_mask,
        losses=losses, tokens=encoded.tokens, prediction=prediction,
    )  # fmt: skip


# agreement of masks and features


@torch.no_grad()
def test_visible_tokens_mimic_the_teacher_at_their_own_places(case):
    expected = slow_mimic_loss(case.model, "colors", case.tokens, case.rgb, case.mask.ids_keep)
    assert case.losses["loss_mimic"].item() == pytest.approx(expected, rel=TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize(
    "mistake",
    ["masked places", "order of the image", "restoring order", "normalized pixels",
     "blue for red", "another image"],
)  # fmt: skip
def test_the_loss_would_show_features_of(case, mistake):
    mask, rgb, indices = case.mask, case.rgb, case.mask.ids_keep
    if mistake == "masked places":
        indices = mask.ids_restore.argsort(dim=1)[:, VISIBLE : 2 * VISIBLE]
    elif mistake == "order of the image":
        indices = indices.sort(dim=1).values
    elif mistake == "restoring order":
        indices = mask.ids_restore[:, :VISIBLE]
    elif mistake == "normalized pixels":
        rgb = case.images
    elif mistake == "blue for red":
        rgb = rgb.flip(1)
    else:
        rgb = rgb.roll(1, dims=0)

    wrong = slow_mimic_loss(case.model, "colors", case.tokens, rgb, indices)

    right = case.losses["loss_mimic"].item()
    assert abs(wrong - right) > 20 * TOLERANCE * right


@torch.no_grad()
def test_only_masked_patches_are_reconstructed(case):
    expected = slow_reconstruction_loss(case.images, case.prediction, case.mask)
    inverted = case.mask._replace(ids_keep=case.mask.ids_restore.argsort(dim=1)[:, VISIBLE:])
    loss = case.losses["loss_rec"].item()
    assert loss == pytest.approx(expected, rel=1e-5)
    wrong = slow_reconstruction_loss(case.images, case.prediction, inverted)
    assert abs(wrong - loss) > 1e-4 * loss


def test_masked_pixels_reach_the_loss_as_targets_only(build):
    model, images = build(mimics=None).eval(), torch.randn(2, 3, 96, 96)
    token_mask = random_mask(2)
    fix_mask(model, token_mask)
    hidden = enlarge(token_mask.mask.reshape(2, 1, GRID, GRID))
    predictions = []
    model.decoder.register_forward_hook(lambda *call: predictions.append(call[-1]))

    with torch.no_grad():
        before = model.loss(images)
        after = model.loss(torch.where(hidden, torch.randn_like(images), images))

    assert torch.equal(predictions[0], predictions[1])
    assert before["loss_rec"] != after["loss_rec"]


# losses, weights and gradients


def test_two_teachers_give_a_loss_each_for_the_same_tokens(build):
    mimics = dict(a=colors_mimic(), b=colors_mimic(out_channels=7, seed=1, weight=0.5))
    model, pixels, token_mask = build(mimics=mimics).eval(), random_pixels(), random_mask()
    fix_mask(model, token_mask)
    images = prepared(model, pixels)

    with torch.no_grad():
        losses = model.loss(images)
        tokens = model.backbone.forward_masked(images, token_mask).tokens

        assert set(losses) == {"loss_rec", "loss_mimic_a", "loss_mimic_b"}
        rgb = pixels.flip(1).float() / 255
        for name, weight in (("a", 1.0), ("b", 0.5)):
            expected = slow_mimic_loss(model, name, tokens, rgb, token_mask.ids_keep)
            assert losses[f"loss_mimic_{name}"].item() == pytest.approx(
                weight * expected, rel=TOLERANCE
            )


def test_the_reconstruction_weight_is_a_factor_of_its_loss_only(build):
    plain, weighted = build(), build(reconstruction_weight=0.25)
    weighted.load_state_dict(plain.state_dict())
    token_mask, images = random_mask(2), torch.randn(2, 3, 96, 96)
    fix_mask(plain, token_mask)
    fix_mask(weighted, token_mask)
    expected, losses = plain.loss(images), weighted.loss(images)
    assert losses["loss_rec"].item() == pytest.approx(0.25 * expected["loss_rec"].item())
    assert losses["loss_mimic"].item() == pytest.approx(expected["loss_mimic"].item())


def test_every_mimic_gets_its_own_fusion_layers(build):
    mimics = dict(
        a=colors_mimic(fusion_layers=(1, 0)),
        b=colors_mimic(seed=1, fusion_layers=(1,)),
        c=colors_mimic(seed=2),
    )
    model, token_mask = build(mimics=mimics).eval(), random_mask()
    fix_mask(model, token_mask)
    images = prepared(model, random_pixels())

    with torch.no_grad():
        losses = model.loss(images)
        encoded = model.backbone.forward_masked(images, token_mask, out_indices=(0, 1))
        targets = model.compute_targets(images, (GRID, GRID))

        for name, layers in (("a", (1, 0)), ("b", (1,)), ("c", ())):
            target = torch.stack(
                [targets[name].features[i, token_mask.ids_keep[i]] for i in range(3)]
            )
            expected = model.mimics[name].head(
                encoded.tokens, target, tuple(encoded.intermediates[layer] for layer in layers)
            )
            assert losses[f"loss_mimic_{name}"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_losses_reach_the_fusion_layers_too(build):
    model = build(mimics=dict(colors=colors_mimic(fusion_layers=(0,))))
    sum(model.loss(prepared(model, random_pixels())).values()).backward()
    assert_trained(model)


# the teacher


def test_the_teacher_is_frozen_and_in_no_checkpoint(build):
    model, student = build(mimics=dict(t=dict(target_generator=HIDDEN_TARGET))), build(mimics=None)
    (tower,) = model.mimics["t"].target_generator._towers.values()
    before = copy.deepcopy(tower.state_dict())
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))

    model.train()
    model.train_step(dict(inputs=list(random_pixels())), optimizer)

    added = set(model.state_dict()) - set(student.state_dict())
    assert added == {"mimics.t.head.proj.weight", "mimics.t.head.proj.bias"}
    assert set(dict(model.named_parameters())) - set(dict(student.named_parameters())) == added
    assert all(torch.equal(value, before[name]) for name, value in tower.state_dict().items())
    assert all(parameter.grad is None for parameter in tower.parameters())
    assert not any(module.training for module in tower.modules())


def test_the_teacher_uses_its_own_normalization(build):
    model, pixels = build(mimics=dict(t=dict(target_generator=HIDDEN_TARGET))), random_pixels()
    (tower,) = model.mimics["t"].target_generator._towers.values()
    read = []
    tower.register_forward_pre_hook(lambda _, args: read.append(args[0]))

    model.loss(prepared(model, pixels))

    mean = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    std = torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    expected = (pixels.flip(1).float() / 255 - mean) / std
    assert torch.allclose(read[0], expected, atol=1e-5)


def test_teacher_features_carry_no_gradient(build):
    model = build(mimics=dict(a=colors_mimic(), b=dict(target_generator=HIDDEN_TARGET)))
    images = torch.randn(2, 3, 96, 96, requires_grad=True)
    targets = model.compute_targets(images, (GRID, GRID))
    assert not any(target.features.requires_grad for target in targets.values())


def test_a_preprocessor_that_mixes_images_is_refused(build, config):
    mixing = dict(batch_transform=dict(type="mim_plugins.MixImages"))
    with pytest.raises(ConfigError, match=r"batch_transform=MixImages mixes.*batch_transform=None"):
        build(data_preprocessor=config["data_preprocessor"] | mixing)


def test_a_batch_transform_may_return_images(build, config):
    transform = dict(batch_transform=lambda images: images.flip(-1))
    model = build(data_preprocessor=config["data_preprocessor"] | transform)
    assert model(prepared(model, random_pixels()), mode="loss")["loss_rec"].isfinite()
