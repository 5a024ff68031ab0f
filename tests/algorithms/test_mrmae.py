import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch import nn

from mim_plugins.registry import MODELS
from mim_plugins.targets import TargetGenerator, TeacherOutput
from mim_plugins.targets.tower import Tower
from mim_plugins.transforms import TokenMask

STRIDE, GRID, TOKENS, VISIBLE = 16, 6, 36, 9
TOLERANCE = 1e-4  # of losses against slow references
BACKBONES = dict(
    vit=dict(
        type="mim_plugins.MaskedViT",
        arch=dict(depth=2, embed_dims=32, num_heads=2),
        img_size=STRIDE * GRID,
    ),
    conv_vit=dict(
        type="mim_plugins.MaskedConvViT",
        arch=dict(depths=(1, 1, 2), embed_dims=(8, 16, 32), mlp_ratios=(2, 2, 2), num_heads=2),
        img_size=STRIDE * GRID,
    ),
)


class Colours(nn.Module):
    """Teacher that tells fixed mixtures of a token's mean colour, and attends to bright tokens."""

    def __init__(self, out_channels=5, seed=0, has_cls_attention=True):
        super().__init__()
        self.out_channels = out_channels
        self.has_cls_attention = has_cls_attention
        generator = torch.Generator().manual_seed(seed)
        mixture = 3 * torch.randn(3, out_channels, generator=generator)
        self.register_buffer("mixture", mixture, persistent=False)
        self.asked_for_attention = []

    def forward(self, pixels, grid, with_attention=False):
        self.asked_for_attention.append(with_attention)
        colours = F.adaptive_avg_pool2d(pixels, grid).flatten(2).transpose(1, 2)
        attention = (4 * colours.sum(dim=-1)).softmax(dim=1) if with_attention else None
        return TeacherOutput(colours @ self.mixture, attention)


class LearnableTower(Tower):
    """Tower with weights, so that one sees where these go."""

    patch_size, out_channels, has_cls_attention = STRIDE, 5, True

    def __init__(self):
        super().__init__()
        self.grid = (GRID, GRID)
        self.proj = nn.Conv2d(3, self.out_channels, self.patch_size, self.patch_size)
        self.drop = nn.Dropout(0.5)

    def forward(self, images, with_attention):
        features = self.drop(self.proj(images)).flatten(2).transpose(1, 2)
        return features, features.sum(dim=-1).softmax(dim=1) if with_attention else None

    def resize(self, grid):
        self.grid = grid


class HiddenTarget(TargetGenerator):
    """A real target generator around the tower, with constants of its own."""

    def __init__(self):
        super().__init__(LearnableTower(), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


MODELS.register_module(name="ColoursOfMRMAETest", module=Colours, force=True)
MODELS.register_module(name="HiddenTargetOfMRMAETest", module=HiddenTarget, force=True)


def colours_target(**arguments):
    return dict(type="mim_plugins.ColoursOfMRMAETest", **arguments)


HIDDEN_TARGET = dict(type="mim_plugins.HiddenTargetOfMRMAETest")


@pytest.fixture(params=sorted(BACKBONES))
def config(request):
    return dict(
        type="mim_plugins.MRMAE",
        backbone=copy.deepcopy(BACKBONES[request.param]),
        decoder=dict(type="mim_plugins.MAEDecoder", embed_dims=16, depth=1, num_heads=2),
        head=dict(type="mim_plugins.PixelHead"),
        mimics=dict(colours=dict(target=colours_target())),
        data_preprocessor=dict(
            type="mim_plugins.MixDataPreprocessor",
            mean=[120.0, 110.0, 100.0],
            std=[60.0, 50.0, 40.0],
            bgr_to_rgb=True,
        ),
    )


@pytest.fixture
def build(config):
    return lambda **changes: MODELS.build(config | changes)


def random_pixels(batch_size=3, height=GRID, width=GRID):
    """Images as files give them: BGR bytes, every cell with a colour of its own, and noise."""
    colours = torch.randint(20, 236, (batch_size, 3, height, width))
    cells = colours.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)
    return (cells + torch.randint(-20, 20, cells.shape)).to(torch.uint8)


def prepared(model, pixels):
    return model.data_preprocessor(dict(inputs=list(pixels)), training=True)["inputs"]


def random_mask(images=3, tokens=TOKENS, visible=VISIBLE):
    order = torch.stack([torch.randperm(tokens) for _ in range(images)])
    ids_restore = order.argsort(dim=1)
    return TokenMask(order[:, :visible], ids_restore, ids_restore >= visible)


def fix_mask(model, token_mask):
    model.draw_mask = lambda *_: token_mask


def drawn_masks(model):
    """List that receives the masks that the model draws."""
    drawn, draw = [], model.draw_mask
    model.draw_mask = lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1]
    return drawn


def slow_mimic_loss(model, name, tokens, pixels, indices):
    """Mean squared error between projected tokens and colours at ``indices``, token by token."""
    head, mixture = model.mimics[name].head, model.mimics[name].target.mixture.double().numpy()
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
    """Mean over the masked patches of all images, patch by patch."""
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
    """A model, its images, a fixed mask, and what it makes of them."""
    model, pixels, token_mask = build().eval(), random_pixels(), random_mask()
    fix_mask(model, token_mask)
    images = prepared(model, pixels)
    with torch.no_grad():
        losses = model.loss(images)
        seen = model.backbone.forward_visible(images, token_mask)
        prediction = model.decoder(seen.tokens, seen.prefix, token_mask.ids_restore, (GRID, GRID))
    rgb = pixels.flip(1).float() / 255
    return dict(
        model=model,
        images=images,
        rgb=rgb,
        mask=token_mask,
        losses=losses,
        tokens=seen.tokens,
        prediction=prediction,
    )


# where masks and features must agree


@torch.no_grad()
def test_visible_tokens_mimic_the_teacher_at_their_own_places(case):
    expected = slow_mimic_loss(
        case["model"], "colours", case["tokens"], case["rgb"], case["mask"].ids_keep
    )

    assert case["losses"]["loss_mimic"].item() == pytest.approx(expected, rel=TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize(
    "mistake",
    ["masked places", "order of the image", "restoring order", "normalised pixels",
     "blue for red", "another image"],
)  # fmt: skip
def test_the_loss_would_show_features_of(case, mistake):
    mask, rgb, indices = case["mask"], case["rgb"], case["mask"].ids_keep
    if mistake == "masked places":
        indices = mask.ids_restore.argsort(dim=1)[:, VISIBLE : 2 * VISIBLE]
    elif mistake == "order of the image":
        indices = indices.sort(dim=1).values
    elif mistake == "restoring order":
        indices = mask.ids_restore[:, :VISIBLE]
    elif mistake == "normalised pixels":
        rgb = case["images"]
    elif mistake == "blue for red":
        rgb = rgb.flip(1)
    else:
        rgb = rgb.roll(1, dims=0)

    wrong = slow_mimic_loss(case["model"], "colours", case["tokens"], rgb, indices)

    right = case["losses"]["loss_mimic"].item()
    assert abs(wrong - right) > 20 * TOLERANCE * right


@torch.no_grad()
def test_only_masked_patches_are_reconstructed(case):
    expected = slow_reconstruction_loss(case["images"], case["prediction"], case["mask"])
    inverted = case["mask"]._replace(ids_keep=case["mask"].ids_restore.argsort(dim=1)[:, VISIBLE:])

    loss = case["losses"]["loss_rec"].item()

    assert loss == pytest.approx(expected, rel=1e-5)
    wrong = slow_reconstruction_loss(case["images"], case["prediction"], inverted)
    assert abs(wrong - loss) > 1e-4 * loss


def test_masked_pixels_reach_the_loss_as_targets_only(build):
    model, images = build(mimics=None).eval(), torch.randn(2, 3, 96, 96)
    token_mask = random_mask(2)
    fix_mask(model, token_mask)
    hidden = token_mask.mask.reshape(2, 1, GRID, GRID)
    hidden = hidden.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)
    predictions = []
    model.decoder.register_forward_hook(lambda *call: predictions.append(call[-1]))

    with torch.no_grad():
        before = model.loss(images)
        after = model.loss(torch.where(hidden, torch.randn_like(images), images))

    assert torch.equal(predictions[0], predictions[1])
    assert before["loss_rec"] != after["loss_rec"]


# losses, weights and gradients


def test_without_teachers_there_is_one_loss(build):
    losses = build(mimics=None).loss(torch.randn(2, 3, 96, 96))

    assert set(losses) == {"loss_rec"}


def test_without_teachers_the_preprocessor_need_not_normalise(build):
    model = build(mimics=None, data_preprocessor=dict(type="ImgDataPreprocessor"))

    assert model.loss(torch.randn(2, 3, 96, 96))["loss_rec"].isfinite()


def test_teachers_without_a_normalisation_to_undo_are_refused(build):
    model = build(data_preprocessor=dict(type="ImgDataPreprocessor"))

    with pytest.raises(ValueError, match="mean and std"):
        model.loss(torch.randn(2, 3, 96, 96))


def test_one_teacher_gives_a_loss_without_its_name(build):
    assert set(build().loss(torch.randn(2, 3, 96, 96))) == {"loss_rec", "loss_mimic"}


def test_two_teachers_give_a_loss_each_for_the_same_tokens(build):
    mimics = dict(
        a=dict(target=colours_target()),
        b=dict(target=colours_target(out_channels=7, seed=1), weight=0.5),
    )
    model, pixels, token_mask = build(mimics=mimics).eval(), random_pixels(), random_mask()
    fix_mask(model, token_mask)
    images = prepared(model, pixels)

    with torch.no_grad():
        losses = model.loss(images)
        tokens = model.backbone.forward_visible(images, token_mask).tokens

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


def test_levels_of_every_teacher_are_those_it_asked_for(build):
    mimics = dict(
        a=dict(target=colours_target(), levels=(1, 0)),
        b=dict(target=colours_target(seed=1), levels=(1,)),
        c=dict(target=colours_target(seed=2)),
    )
    model, token_mask = build(mimics=mimics).eval(), random_mask()
    fix_mask(model, token_mask)
    images = prepared(model, random_pixels())

    with torch.no_grad():
        losses = model.loss(images)
        seen = model.backbone.forward_visible(images, token_mask, levels=(0, 1))
        lessons = model.ask_teachers(images, (GRID, GRID))

        for name, levels in (("a", (1, 0)), ("b", (1,)), ("c", ())):
            target = torch.stack(
                [lessons[name].features[i, token_mask.ids_keep[i]] for i in range(3)]
            )
            expected = model.mimics[name].head(
                seen.tokens, target, tuple(seen.levels[level] for level in levels)
            )
            assert losses[f"loss_mimic_{name}"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_losses_reach_every_parameter_of_the_student(build):
    mimics = dict(colours=dict(target=colours_target(), levels=(0,)))
    model = build(mimics=mimics)

    sum(model.loss(prepared(model, random_pixels())).values()).backward()

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_mimic_loss_does_not_reach_the_decoder(build):
    model = build()

    model.loss(prepared(model, random_pixels()))["loss_mimic"].backward()

    assert all(parameter.grad is None for parameter in model.decoder.parameters())
    assert model.backbone.blocks[0].attn.qkv.weight.grad.abs().sum() > 0


# the teacher


def test_the_teacher_is_frozen_and_in_no_checkpoint(build):
    model, student = build(mimics=dict(t=dict(target=HIDDEN_TARGET))), build(mimics=None)
    (tower,) = model.mimics["t"].target._towers.values()
    before = copy.deepcopy(tower.state_dict())
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))

    model.train()
    model.train_step(dict(inputs=list(random_pixels())), optimizer)

    added = set(model.state_dict()) - set(student.state_dict())
    assert added == {"mimics.t.head.proj.weight", "mimics.t.head.proj.bias"}
    assert set(dict(model.named_parameters())) - set(dict(student.named_parameters())) == added
    for name, value in tower.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in tower.parameters())
    assert not any(module.training for module in tower.modules())


def test_the_teacher_reads_its_own_normalisation_of_the_pixels(build):
    model, pixels = build(mimics=dict(t=dict(target=HIDDEN_TARGET))), random_pixels()
    (tower,) = model.mimics["t"].target._towers.values()
    read = []
    tower.register_forward_pre_hook(lambda _, args: read.append(args[0]))

    model.loss(prepared(model, pixels))

    mean = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    std = torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    expected = (pixels.flip(1).float() / 255 - mean) / std
    assert torch.allclose(read[0], expected, atol=1e-5)


def test_the_teachers_answer_carries_no_gradient(build):
    mimics = dict(a=dict(target=colours_target()), b=dict(target=HIDDEN_TARGET))

    lessons = build(mimics=mimics).ask_teachers(
        torch.randn(2, 3, 96, 96, requires_grad=True), (GRID, GRID)
    )

    assert not any(lesson.features.requires_grad for lesson in lessons.values())


# which tokens are visible


def test_uniform_masks_show_a_quarter_and_differ_between_images_and_steps(build):
    model = build()
    drawn = drawn_masks(model)

    for _ in range(2):
        model.loss(torch.randn(3, 3, 96, 96))

    masks = torch.cat([token_mask.mask for token_mask in drawn])
    assert (masks.sum(dim=1) == TOKENS - VISIBLE).all()
    assert len({tuple(mask.tolist()) for mask in masks}) == 6


def test_uniform_masks_do_not_depend_on_the_images(build):
    model, drawn = build(), []
    for image in (torch.zeros(3, 3, 96, 96), torch.randn(3, 3, 96, 96)):
        torch.manual_seed(5)
        drawn.append(model.draw_mask(image, {}))

    assert torch.equal(drawn[0].ids_keep, drawn[1].ids_keep)


def test_focus_shows_the_tokens_that_its_teacher_attends_to(build):
    model = build(focus="colours", focus_temperature=1e-6)
    drawn, pixels = drawn_masks(model), random_pixels()

    model.loss(prepared(model, pixels))

    means = F.avg_pool2d(pixels.flip(1).float(), STRIDE).flatten(2).sum(dim=1)  # (B, L)
    brightest = means.argsort(dim=1, descending=True)[:, :VISIBLE]
    assert torch.equal(drawn[0].ids_keep.sort().values, brightest.sort().values)
    assert model.mimics["colours"].target.asked_for_attention == [True]


def test_focus_draws_at_random_in_proportion_to_the_attention(build):
    model = build(focus="colours")
    attention = torch.full((2000, TOKENS), 1.0)
    attention[:, 7] = 20.0

    token_mask = model.draw_mask(
        torch.empty(2000, 3, 96, 96, device="meta"), dict(colours=TeacherOutput(None, attention))
    )

    frequency = (~token_mask.mask).float().mean(dim=0)
    assert frequency[7] > 0.95
    others = torch.cat([frequency[:7], frequency[8:]])
    assert torch.allclose(others, torch.full((35,), (VISIBLE - 1) / 35), atol=0.05)


def test_only_the_teacher_in_focus_is_asked_for_attention(build):
    mimics = dict(
        a=dict(target=colours_target(has_cls_attention=False)), b=dict(target=colours_target())
    )
    model = build(mimics=mimics, focus="b")

    model.loss(prepared(model, random_pixels()))

    assert model.mimics["a"].target.asked_for_attention == [False]
    assert model.mimics["b"].target.asked_for_attention == [True]


def test_without_focus_no_teacher_is_asked_for_attention(build):
    model = build()

    model.loss(prepared(model, random_pixels()))

    assert model.mimics["colours"].target.asked_for_attention == [False]


@pytest.mark.parametrize("mask_ratio", [0.5, 0.9])
def test_the_mask_ratio_decides_how_many_tokens_the_encoder_reads(build, mask_ratio):
    model = build(mask_ratio=mask_ratio)
    drawn = drawn_masks(model)

    model.loss(torch.randn(2, 3, 96, 96))

    assert drawn[0].ids_keep.shape == (2, int(TOKENS * (1 - mask_ratio)))


# training as a whole


def test_training_on_one_batch_lowers_both_losses(build):
    # grey cells of random brightness for the teacher, with the same ramp in all for the decoder
    brightness = torch.randint(40, 200, (2, 1, GRID, GRID)).float()
    cells = brightness.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)
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


@pytest.mark.parametrize("focus", [None, "colours"])
def test_the_seed_decides_the_losses(build, focus):
    model, pixels = build(focus=focus), random_pixels()

    def losses_of(seed):
        torch.manual_seed(seed)
        losses = model.loss(prepared(model, pixels))
        return [loss.item() for loss in losses.values()]

    assert losses_of(1) == losses_of(1)
    assert losses_of(1) != losses_of(2)


def test_a_training_step_of_mmengine_changes_the_weights_and_logs_both_losses(build):
    model = build()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    before = copy.deepcopy(model.state_dict())

    logged = model.train_step(dict(inputs=list(random_pixels())), optimizer)

    total = logged["loss_rec"] + logged["loss_mimic"]
    assert logged["loss"].item() == pytest.approx(total.item(), rel=1e-6)
    for name, _ in model.named_parameters():
        assert not torch.equal(model.state_dict()[name], before[name]), name


@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 8)])
def test_other_image_sizes_can_be_trained_on(build, height, width):
    model = build(focus="colours")

    losses = model.loss(prepared(model, random_pixels(2, height, width)))

    assert all(loss.isfinite() for loss in losses.values())


def test_a_batch_of_one_can_be_trained_on(build):
    model = build()

    losses = model.loss(prepared(model, random_pixels(1)))

    assert all(loss.isfinite() for loss in losses.values())


def test_bfloat16_autocast_gives_losses_close_to_those_of_float32(build):
    model = build()
    fix_mask(model, random_mask())
    images = prepared(model, random_pixels())
    expected = model.loss(images)

    with torch.autocast("cpu", torch.bfloat16):
        losses = model.loss(images)
    sum(losses.values()).backward()

    for name, loss in losses.items():
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(expected[name].item(), rel=0.05)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_checkpoint_of_another_image_size_is_loaded(build, config):
    larger = build(backbone=config["backbone"] | dict(img_size=128))

    larger.load_state_dict(build().state_dict())

    assert larger.loss(torch.randn(2, 3, 128, 128))["loss_rec"].isfinite()


# the interface


def test_tensor_mode_gives_the_features_of_the_backbone(build):
    model, images = build().eval(), torch.randn(2, 3, 96, 96)

    features = model(images)

    assert [tuple(feature.shape) for feature in features] == [(2, 32, GRID, GRID)]
    assert torch.equal(features[0], model.backbone(images)[0])


def test_width_stride_and_grid_come_from_the_backbone(build):
    model = build()

    assert model.decoder.embed.in_features == 32
    assert model.decoder.pos_embed.shape[1:3] == (GRID, GRID)
    assert model.decoder.pred.out_features == STRIDE * STRIDE * 3
    assert model.head.patch_size == STRIDE
    assert model.mimics["colours"].head.proj.weight.shape == (5, 32)


def test_building_leaves_the_config_as_it_was_and_works_twice(build, config):
    before = copy.deepcopy(config)

    first, second = build(), build()

    assert config == before
    second.load_state_dict(first.state_dict())


def test_another_mode_is_refused(build):
    with pytest.raises(ValueError, match="mode='predict'"):
        build()(torch.randn(2, 3, 96, 96), mode="predict")


def test_images_that_are_no_multiples_of_the_stride_are_refused(build):
    model = build()

    with pytest.raises(ValueError, match=r"90x96 pixels.*stride 16"):
        model.loss(torch.randn(2, 3, 90, 96))


NO_ATTENTION = dict(colours=dict(target=colours_target(has_cls_attention=False)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(mask_ratio=0.99), r"mask_ratio=0\.99 leaves 0 of 36 tokens visible"),
        (dict(mask_ratio=0.0), r"mask_ratio=0\.0 leaves 36 of 36"),
        (dict(focus="clip"), r"focus='clip' must name one of the mimics \['colours'\]"),
        (dict(focus="clip", mimics=None), r"focus='clip' must name one of the mimics \[\]"),
        (dict(focus="colours", mimics=NO_ATTENTION), r"focus='colours'.*no \[CLS\] attention"),
        (dict(focus="colours", focus_temperature=0), "focus_temperature=0 must be above 0"),
        (dict(focus="colours", focus_temperature=-1.5), r"focus_temperature=-1\.5"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_and_value(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_a_backbone_that_cannot_read_visible_tokens_is_refused(build):
    swin = dict(
        type="mim_plugins.MaskedSwin",
        arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)),
        img_size=64,
        window_size=8,
    )

    with pytest.raises(ValueError, match=r"MRMAE: backbone MaskedSwin has no forward_visible"):
        build(backbone=swin)


@pytest.mark.parametrize("level", [2, -1])
def test_a_level_that_the_backbone_does_not_have_is_refused_when_building(build, level):
    mimics = dict(colours=dict(target=colours_target(), levels=(level,)))

    with pytest.raises(ValueError, match="levels"):
        build(mimics=mimics)


def test_a_backbone_that_pools_its_tokens_is_refused_when_building(build, config):
    with pytest.raises(ValueError, match="out_type"):
        build(backbone=config["backbone"] | dict(out_type="avg_featmap"))


# reconstruction


def test_reconstruction_keeps_visible_patches_and_predicts_the_masked_ones(build):
    model = build(focus="colours").eval()
    images = prepared(model, random_pixels())
    token_mask = random_mask()
    fix_mask(model, token_mask)

    result = model.reconstruct(images)

    cells = token_mask.mask.reshape(3, GRID, GRID)
    assert torch.equal(result.hidden[:, 0, ::STRIDE, ::STRIDE], cells)
    hidden = result.hidden.expand_as(images)
    assert torch.equal(result.images[~hidden], images[~hidden])
    assert not torch.isclose(result.images[hidden], images[hidden]).all()
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
