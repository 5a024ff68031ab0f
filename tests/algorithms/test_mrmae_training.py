import pytest
import torch
import torch.nn.functional as F
from mrmae_fakes import (
    GRID,
    STRIDE,
    TOKENS,
    VISIBLE,
    colors_mimic,
    enlarge,
    fix_mask,
    prepared,
    random_mask,
    random_pixels,
    sampled_masks,
)

from mim_plugins.targets import TeacherOutput

# choice of the visible tokens


def test_uniform_masks_show_a_quarter_and_vary(build):
    model = build()
    drawn = sampled_masks(model)
    for _ in range(2):
        model.loss(torch.randn(3, 3, 96, 96))
    masks = torch.cat([token_mask.mask for token_mask in drawn])
    assert (masks.sum(dim=1) == TOKENS - VISIBLE).all()
    assert len({tuple(mask.tolist()) for mask in masks}) == 6


def test_uniform_masks_do_not_depend_on_the_images(build):
    model, drawn = build(), []
    for image in (torch.zeros(3, 3, 96, 96), torch.randn(3, 3, 96, 96)):
        torch.manual_seed(5)
        drawn.append(model.sample_mask(image, {}))
    assert torch.equal(drawn[0].ids_keep, drawn[1].ids_keep)


def test_focus_shows_the_tokens_with_high_attention(build):
    model = build(focus_teacher="colors", focus_temperature=1e-6)
    drawn, pixels = sampled_masks(model), random_pixels()
    model.loss(prepared(model, pixels))
    means = F.avg_pool2d(pixels.flip(1).float(), STRIDE).flatten(2).sum(dim=1)  # (B, L)
    brightest = means.argsort(dim=1, descending=True)[:, :VISIBLE]
    assert torch.equal(drawn[0].ids_keep.sort().values, brightest.sort().values)
    assert model.mimics["colors"].target_generator.calls == [((GRID, GRID), True)]


def test_focus_samples_in_proportion_to_the_attention(build):
    model = build(focus_teacher="colors")
    attention = torch.full((2000, TOKENS), 1.0)
    attention[:, 7] = 20.0

    token_mask = model.sample_mask(
        torch.empty(2000, 3, 96, 96, device="meta"), dict(colors=TeacherOutput(None, attention))
    )

    frequency = (~token_mask.mask).float().mean(dim=0)
    assert frequency[7] > 0.95
    others = torch.cat([frequency[:7], frequency[8:]])
    assert torch.allclose(others, torch.full((35,), (VISIBLE - 1) / 35), atol=0.05)


def test_attention_is_requested_from_the_focus_teacher_only(build):
    mimics = dict(a=colors_mimic(has_cls_attention=False), b=colors_mimic())
    for focus_teacher in ("b", None):
        model = build(mimics=mimics, focus_teacher=focus_teacher)
        model.loss(prepared(model, random_pixels()))
        for name, mimic in model.mimics.items():
            assert mimic.target_generator.calls == [((GRID, GRID), name == focus_teacher)]


@pytest.mark.parametrize("mask_ratio", [0.5, 0.9])
def test_the_mask_ratio_sets_the_number_of_encoded_tokens(build, mask_ratio):
    model = build(mask_ratio=mask_ratio)
    drawn = sampled_masks(model)
    model.loss(torch.randn(2, 3, 96, 96))
    assert drawn[0].ids_keep.shape == (2, int(TOKENS * (1 - mask_ratio)))


def test_the_seed_determines_the_focus(build):
    model, pixels, drawn = build(focus_teacher="colors"), random_pixels(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append([loss.item() for loss in model.loss(prepared(model, pixels)).values()])
    assert drawn[0] == drawn[1] != drawn[2]


# complete training steps


def test_training_on_one_batch_lowers_both_losses(build):
    # gray cells of random brightness for the teacher, with the same ramp in all for the decoder
    cells = enlarge(torch.randint(40, 200, (2, 1, GRID, GRID)).float())
    ramp = torch.linspace(-30, 30, STRIDE).repeat(GRID)
    model = build(mask_ratio=0.5)
    images = prepared(model, (cells + ramp).expand(2, 3, 96, 96))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)

    history = []
    for _ in range(40):
        losses = model(images, mode="loss")
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})

    for name in ("loss_rec", "loss_mimic"):
        assert history[-1][name] < 0.5 * history[0][name], name


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 8), (1, 6, 6)])
def test_focus_works_on_other_sizes_and_on_one_image(build, shape):
    model = build(focus_teacher="colors")
    losses = model.loss(prepared(model, random_pixels(*shape)))
    assert all(loss.isfinite() for loss in losses.values())


# the interface


def test_images_must_be_multiples_of_the_stride(build):
    model = build()
    with pytest.raises(ValueError, match=r"90x96 pixels.*stride 16"):
        model.loss(torch.randn(2, 3, 90, 96))


NO_ATTENTION = dict(colors=colors_mimic(has_cls_attention=False))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(mask_ratio=0.99), r"mask_ratio=0\.99 leaves 0 of 36 tokens visible"),
        (dict(mask_ratio=0.0), r"mask_ratio=0\.0 must be a number above 0"),
        (dict(focus_teacher="clip"), r"'clip' must name one of the mimics \['colors'\]"),
        (dict(focus_teacher="clip", mimics=None), r"'clip' must name one of the mimics \[\]"),
        (dict(focus_teacher="colors", mimics=NO_ATTENTION), r"'colors'.*with \[CLS\] attention"),
        (
            dict(focus_teacher="colors", focus_temperature=0),
            "focus_temperature=0 must be a number above 0",
        ),
        (dict(focus_teacher="colors", focus_temperature=-1.5), r"focus_temperature=-1\.5"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_and_value(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize("level", [3, -1])
def test_a_missing_fusion_layer_is_refused_when_building(build, level):
    with pytest.raises(ValueError, match="fusion_layers"):
        build(mimics=dict(colors=colors_mimic(fusion_layers=(level,))))


def test_a_pooling_backbone_is_refused_when_building(build, config):
    with pytest.raises(ValueError, match="out_type"):
        build(backbone=config["backbone"] | dict(out_type="avg_featmap"))


# reconstruction


def test_reconstruction_keeps_visible_patches(build):
    model = build(focus_teacher="colors").eval()
    images = prepared(model, random_pixels())
    token_mask = random_mask()
    fix_mask(model, token_mask)

    result = model.reconstruct(images)

    cells = token_mask.mask.reshape(3, GRID, GRID)
    assert torch.equal(result.masked[:, 0, ::STRIDE, ::STRIDE], cells)
    masked = result.masked.expand_as(images)
    assert torch.equal(result.images[~masked], images[~masked])
    assert not torch.isclose(result.images[masked], images[masked]).all()
    assert not result.images.requires_grad
    assert result.attention.shape == (3, GRID, GRID)
    assert torch.allclose(result.attention.sum(dim=(1, 2)), torch.ones(3))


def test_reconstruction_and_loss_agree_on_the_predictions(build):
    model = build(mimics=None).eval()
    images = prepared(model, random_pixels())
    fix_mask(model, random_mask())

    result = model.reconstruct(images)

    assert result.attention is None
    patches = F.unfold(result.images, STRIDE, stride=STRIDE).transpose(1, 2)
    originals = F.unfold(images, STRIDE, stride=STRIDE).transpose(1, 2)
    std = originals.std(dim=-1, keepdim=True)
    errors = ((patches - originals) / std).square().mean(dim=-1)
    masked = errors[errors > 0]
    assert len(masked) == 3 * (TOKENS - VISIBLE)
    assert masked.mean().item() == pytest.approx(model.loss(images)["loss_rec"].item(), rel=1e-3)
