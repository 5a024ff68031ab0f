import copy
import math
import re

import pytest
import torch
from torch import nn

from mim_plugins.backbones import PlainBackbone
from mim_plugins.masking import TokenMask
from mim_plugins.registry import MODELS

STRIDE = 16
BLOCKS = 3

# 6x6 tokens at 96 pixels
ENCODERS = dict(
    vit=dict(
        type="mim_plugins.MaskedViT",
        arch=dict(depth=BLOCKS, embed_dims=16, num_heads=2),
        img_size=96,
        mlp_ratio=2,
    ),
    vit_without_cls=dict(
        type="mim_plugins.MaskedViT",
        arch=dict(depth=BLOCKS, embed_dims=16, num_heads=2),
        img_size=96,
        with_cls_token=False,
    ),
    conv_vit=dict(
        type="mim_plugins.MaskedConvViT",
        arch=dict(depths=(1, 2, BLOCKS), embed_dims=(8, 12, 16), mlp_ratios=(2, 2, 2), num_heads=2),
        img_size=96,
    ),
    conv_vit_without_fusion=dict(
        type="mim_plugins.MaskedConvViT",
        arch=dict(depths=(1, 2, BLOCKS), embed_dims=(8, 12, 16), mlp_ratios=(2, 2, 2), num_heads=2),
        img_size=96,
        fuse_stages=False,
    ),
)


@pytest.fixture(params=sorted(ENCODERS))
def config(request):
    return copy.deepcopy(ENCODERS[request.param])


@pytest.fixture
def build(config):
    return lambda **changes: MODELS.build(config | changes)


def mask_of(order, visible):
    """Return a mask with the first ``visible`` tokens of ``order`` (B, L) visible, in order."""
    mask = torch.ones_like(order, dtype=torch.bool)
    for image, row in enumerate(order.tolist()):
        mask[image, row[:visible]] = False
    return TokenMask(order[:, :visible], order.argsort(dim=1), mask)


def random_mask(images=2, tokens=36, visible=9):
    return mask_of(torch.stack([torch.randperm(tokens) for _ in range(images)]), visible)


def pixels_of(mask, cols=6):
    """Upsample a token mask (B, L) to a pixel mask (B, 1, H, W)."""
    grid = mask.reshape(len(mask), 1, -1, cols)
    return grid.repeat_interleave(STRIDE, 2).repeat_interleave(STRIDE, 3)


def test_encoded_tokens_have_the_documented_shapes(build):
    encoder = build().eval()

    encoded = encoder.forward_masked(torch.randn(2, 3, 96, 96), random_mask(), out_indices=(0, 2))

    assert encoded.tokens.shape == (2, 9, 16)
    assert [tuple(level.shape) for level in encoded.intermediates] == [(2, 9, 16), (2, 9, 16)]
    if encoder.cls_token is None:
        assert encoded.prefix_tokens is None
    else:
        assert encoded.prefix_tokens.shape == (2, 1, 16)


def test_masked_pixels_do_not_influence_the_output(build):
    encoder, images, token_mask = build().eval(), torch.randn(2, 3, 96, 96), random_mask()
    hidden = pixels_of(token_mask.mask)
    changed = torch.where(hidden, 10 * torch.randn_like(images), images)

    with torch.no_grad():
        before = encoder.forward_masked(images, token_mask, out_indices=(0, 1, 2))
        after = encoder.forward_masked(changed, token_mask, out_indices=(0, 1, 2))

    assert torch.equal(before.tokens, after.tokens)
    assert before.prefix_tokens is None or torch.equal(before.prefix_tokens, after.prefix_tokens)
    for level_before, level_after in zip(before.intermediates, after.intermediates, strict=True):
        assert torch.equal(level_before, level_after)


def test_a_visible_patch_changes_every_visible_token(build):
    encoder, images, token_mask = build().eval(), torch.randn(2, 3, 96, 96), random_mask()
    token = token_mask.ids_keep[0, 0].item()
    row, col = STRIDE * (token // 6), STRIDE * (token % 6)
    changed = images.clone()
    changed[0, :, row : row + STRIDE, col : col + STRIDE] = torch.randn(3, STRIDE, STRIDE)

    with torch.no_grad():
        before = encoder.forward_masked(images, token_mask).tokens
        after = encoder.forward_masked(changed, token_mask).tokens

    difference = (before - after).abs().amax(dim=2)
    assert difference[0].min() > 1e-6
    assert difference[0].argmax() == 0
    assert torch.equal(before[1], after[1])


def test_gradients_are_zero_exactly_on_masked_pixels(build):
    encoder, token_mask = build().eval(), random_mask()
    images = torch.randn(2, 3, 96, 96, requires_grad=True)

    encoded = encoder.forward_masked(images, token_mask, out_indices=(0, 1, 2))
    outputs = [encoded.tokens, *encoded.intermediates] + (
        [] if encoded.prefix_tokens is None else [encoded.prefix_tokens]
    )
    sum((output * torch.randn_like(output)).sum() for output in outputs).backward()

    hidden = pixels_of(token_mask.mask).expand_as(images)
    assert (images.grad[hidden] == 0).all()
    assert (images.grad[~hidden] != 0).all()


def test_tokens_come_in_the_order_of_ids_keep(build):
    encoder, images, token_mask = build().eval(), torch.randn(2, 3, 96, 96), random_mask()
    order = torch.randperm(9)
    permuted = token_mask._replace(ids_keep=token_mask.ids_keep[:, order])

    with torch.no_grad():
        encoded = encoder.forward_masked(images, token_mask, out_indices=(1,))
        encoded_permuted = encoder.forward_masked(images, permuted, out_indices=(1,))

    assert not torch.allclose(encoded.tokens, encoded_permuted.tokens, atol=1e-3)
    assert torch.allclose(encoded.tokens[:, order], encoded_permuted.tokens, atol=1e-5)
    assert torch.allclose(
        encoded.intermediates[0][:, order], encoded_permuted.intermediates[0], atol=1e-5
    )
    if encoded.prefix_tokens is not None:
        assert torch.allclose(encoded.prefix_tokens, encoded_permuted.prefix_tokens, atol=1e-5)


@pytest.mark.parametrize("size", [(96, 96), (64, 128)])
def test_with_all_tokens_visible_masking_changes_nothing(build, size):
    encoder, images = build().eval(), torch.randn(2, 3, *size)
    order = torch.stack([torch.randperm(size[0] * size[1] // STRIDE**2) for _ in range(2)])

    with torch.no_grad():
        encoded = encoder.forward_masked(images, mask_of(order, order.shape[1]))
        (featmap,) = encoder(images)

    tokens = featmap.flatten(2).transpose(1, 2)
    expected = torch.stack([tokens[image, order[image]] for image in range(2)])
    assert torch.allclose(encoded.tokens, expected, atol=1e-5)


def test_images_of_a_batch_are_independent(build):
    encoder, images, token_mask = build().eval(), torch.randn(3, 3, 96, 96), random_mask(3)

    with torch.no_grad():
        together = encoder.forward_masked(images, token_mask).tokens

        for image in range(3):
            part = slice(image, image + 1)
            alone = encoder.forward_masked(
                images[part], TokenMask(*(field[part] for field in token_mask))
            )
            assert torch.allclose(together[part], alone.tokens, atol=1e-5)


def test_intermediates_are_the_outputs_of_the_requested_blocks(build):
    encoder, outputs = build().eval(), []
    for block in encoder.blocks:
        block.register_forward_hook(lambda *call: outputs.append(call[-1]))

    encoded = encoder.forward_masked(torch.randn(2, 3, 96, 96), random_mask(), out_indices=(0, 2))

    prefix = 0 if encoder.cls_token is None else 1
    assert len(outputs) == BLOCKS
    assert torch.equal(encoded.intermediates[0], outputs[0][:, prefix:])
    assert torch.equal(encoded.intermediates[1], outputs[2][:, prefix:])
    assert encoder.forward_masked(torch.randn(2, 3, 96, 96), random_mask()).intermediates == ()


def test_tokens_are_normalized(build):
    encoded = build().eval().forward_masked(torch.randn(2, 3, 96, 96), random_mask())

    for tokens in (encoded.tokens, encoded.prefix_tokens):
        if tokens is not None:
            assert torch.allclose(tokens.mean(dim=-1), torch.zeros(()), atol=1e-5)
            assert torch.allclose(tokens.var(dim=-1, unbiased=False), torch.ones(()), atol=1e-2)


def test_every_parameter_gets_a_gradient_in_pre_training(build):
    encoder = build()

    tokens = encoder.forward_masked(torch.randn(2, 3, 96, 96), random_mask()).tokens
    (tokens * torch.randn_like(tokens)).sum().backward()

    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("method", ["forward", "forward_masked"])
def test_gradient_checkpointing_keeps_outputs_and_gradients(build, method):
    plain, checkpointed = build(), build(with_cp=True)
    checkpointed.load_state_dict(plain.state_dict())
    images, token_mask, calls = torch.randn(2, 3, 96, 96), random_mask(), []
    for block in checkpointed.blocks:
        block.register_forward_pre_hook(lambda block, _: calls.append(block))

    for encoder in (plain, checkpointed):
        if method == "forward":
            output = encoder(images)[0]
        else:
            output = encoder.forward_masked(images, token_mask).tokens
        output.pow(3).sum().backward()

    assert len(calls) == 2 * BLOCKS
    for (name, expected), (_, got) in zip(
        plain.named_parameters(), checkpointed.named_parameters(), strict=True
    ):
        assert torch.allclose(got.grad, expected.grad, atol=1e-4), name


@pytest.mark.parametrize("size", [(90, 96), (96, 100)])
def test_images_in_pre_training_must_be_multiples_of_the_stride(build, size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]} pixels.*stride 16"):
        build().forward_masked(torch.randn(2, 3, *size), random_mask())


def test_a_mask_for_another_grid_is_refused(build):
    with pytest.raises(ValueError, match=r"4 \* 8\), but is \(2, 36\)"):
        build().forward_masked(torch.randn(2, 3, 64, 128), random_mask())


@pytest.mark.parametrize("size", [(96, 96), (50, 70), (33, 100), (128, 64), (7, 5)])
def test_unmasked_images_are_padded_to_the_stride(build, size):
    encoder, images = build().eval(), torch.randn(2, 3, *size)
    grid = (math.ceil(size[0] / STRIDE), math.ceil(size[1] / STRIDE))
    padded = torch.zeros(2, 3, grid[0] * STRIDE, grid[1] * STRIDE)
    padded[:, :, : size[0], : size[1]] = images

    (featmap,) = encoder(images)

    assert featmap.shape == (2, 16, *grid)
    assert featmap.isfinite().all()
    assert torch.equal(featmap, encoder(padded)[0])


def test_equal_content_at_other_places_has_other_features(build):
    (featmap,) = build().eval()(torch.ones(1, 3, 96, 96))

    for row, col in [(2, 3), (3, 2), (3, 3)]:  # interior positions, without padding
        assert not torch.allclose(featmap[..., 2, 2], featmap[..., row, col], atol=1e-3)


def test_pooled_features_are_the_norm_of_the_mean_of_the_tokens(build):
    maps, pooled = build().eval(), build(out_type="avg_featmap").eval()
    state = {
        name.replace("norm.", "fc_norm.", 1) if name.startswith("norm.") else name: value
        for name, value in maps.state_dict().items()
    }
    pooled.load_state_dict(state)
    maps.norm = nn.Identity()
    images = torch.randn(2, 3, 50, 70)

    (feature,) = pooled(images)

    expected = pooled.fc_norm(maps(images)[0].mean(dim=(2, 3)))
    assert torch.allclose(feature, expected, atol=1e-5)


def test_pooled_features_replace_the_last_norm(build):
    pooled, maps = set(build(out_type="avg_featmap").state_dict()), set(build().state_dict())

    assert maps - pooled == {"norm.weight", "norm.bias"}
    assert pooled - maps == {"fc_norm.weight", "fc_norm.bias"}


@pytest.mark.parametrize("img_size", [64, (128, 32)])
def test_a_checkpoint_of_another_image_size_keeps_features(build, img_size):
    # one encoder resizes the position embedding in the forward pass, the other on loading
    saved, loaded = build().eval(), build(img_size=img_size).eval()
    before = {name: value.shape for name, value in saved.state_dict().items()}

    state = saved.state_dict()
    loaded.load_state_dict(state)

    images = torch.randn(1, 3, *loaded.img_size)
    assert torch.allclose(loaded(images)[0], saved(images)[0], atol=1e-5)
    assert {name: value.shape for name, value in state.items()} == before


def test_a_checkpoint_of_the_same_size_gives_identical_features(build):
    saved, loaded = build().eval(), build().eval()
    images = torch.randn(1, 3, 50, 70)
    assert not torch.equal(saved(images)[0], loaded(images)[0])

    loaded.load_state_dict(saved.state_dict())

    assert torch.equal(saved(images)[0], loaded(images)[0])


@pytest.mark.parametrize("learned", [False, True])
def test_the_position_embedding_is_saved_and_may_be_learned(build, learned):
    encoder = build(learn_pos_embed=learned)

    assert ("pos_embed" in dict(encoder.named_parameters())) == learned
    assert encoder.state_dict()["pos_embed"].shape == (1, 6, 6, 16)
    assert torch.equal(encoder.pos_embed, build().pos_embed)


@pytest.mark.parametrize("size", [96, 64])
@pytest.mark.parametrize("learned", [False, True])
def test_fixed_and_learned_positions_load_into_each_other(build, learned, size):
    saved = build(learn_pos_embed=learned).eval()
    saved.pos_embed.data.normal_()
    loaded = build(learn_pos_embed=not learned, img_size=size).eval()

    loaded.load_state_dict(saved.state_dict())

    images = torch.randn(1, 3, size, size)
    assert torch.allclose(loaded(images)[0], saved(images)[0], atol=1e-5)
    assert isinstance(loaded.pos_embed, nn.Parameter) == (not learned)


@pytest.mark.parametrize("size", [96, 64])
def test_learned_positions_get_gradients_at_any_size(build, size):
    encoder = build(learn_pos_embed=True)

    encoder(torch.randn(1, 3, size, size))[0].pow(3).sum().backward()

    assert encoder.pos_embed.grad.abs().amin(dim=-1).min() > 0


def test_freezing_all_stages_freezes_learned_positions(build):
    free = build(learn_pos_embed=True, frozen_stages=-1)
    frozen = build(learn_pos_embed=True, frozen_stages=free.max_frozen_stages)

    assert free.pos_embed.requires_grad
    assert not frozen.pos_embed.requires_grad


@pytest.mark.parametrize("out_type", ["featmap", "avg_featmap"])
def test_depths_for_layer_decay_are_those_of_mae(build, out_type):
    encoder = build(out_type=out_type)

    for name, _ in encoder.named_parameters():
        parts = name.split(".")
        expected = 0
        if parts[0] == "blocks":
            expected = int(parts[1]) + 1
        elif parts[0] in ("norm", "fc_norm"):
            expected = BLOCKS + 1
        assert encoder.get_layer_depth(name) == (expected, BLOCKS + 2), name
        assert encoder.get_layer_depth("backbone." + name, "backbone.")[0] == expected, name


@pytest.mark.parametrize("learned", [False, True])
def test_token_and_learned_positions_are_listed_for_no_decay(build, learned):
    encoder = build(learn_pos_embed=learned)

    listed = encoder.no_weight_decay()

    named = dict(encoder.named_parameters())
    assert listed == {"cls_token", "pos_embed"} & set(named)
    assert all(encoder.get_layer_depth(name)[0] == 0 for name in listed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(arch="gigantic"), "arch='gigantic' is unknown; choose one of"),
        (dict(arch=dict(depths=(1, 1))), r"arch=\{'depths': \(1, 1\)\} must have exactly the keys"),
        (dict(img_size=60), r"img_size=\(60, 60\).*encoder stride 16"),
        (dict(img_size=(64, 72)), r"img_size=\(64, 72\)"),
        (dict(out_type="cls_token"), "out_type='cls_token'"),
        (dict(out_indices=(3,)), r"out_indices=\(3,\).*-3 and 2"),
        (dict(out_indices=(0, -3)), r"out_indices=\(0, -3\).*distinct"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_and_value(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_a_width_that_the_heads_do_not_divide_is_refused(build, config):
    name = config["type"].removeprefix("mim_plugins.")

    with pytest.raises(ValueError, match=rf"{name}: .*\(16,\).*num_heads=\(3,\)"):
        build(arch=config["arch"] | dict(num_heads=3))


def test_building_does_not_change_the_config(config):
    before = repr(config)

    MODELS.build(config)

    assert repr(config) == before


def test_linear_maps_start_as_xavier_with_zero_biases(build):
    for module in build().modules():
        if isinstance(module, nn.Linear):
            bound = math.sqrt(6 / (module.in_features + module.out_features))
            assert 0.9 * bound < module.weight.abs().max() <= bound
            assert (module.bias == 0).all()


def test_bfloat16_tokens_are_close_to_float32(build):
    encoder, images, token_mask = build().eval(), torch.randn(2, 3, 96, 96), random_mask()
    expected = encoder.forward_masked(images, token_mask).tokens

    with torch.autocast("cpu", torch.bfloat16):
        tokens = encoder.forward_masked(images, token_mask).tokens

    assert (tokens.float() - expected).abs().mean() < 0.05


class Sized(PlainBackbone):
    arch_settings = {"tiny": dict(depth=1, embed_dims=4, num_heads=2)}


def test_a_subclass_must_implement_embed():
    unfinished = Sized(arch="tiny", img_size=96, encoder_stride=STRIDE)

    with pytest.raises(NotImplementedError):
        unfinished.forward_masked(torch.randn(2, 3, 96, 96), random_mask())


def test_names_of_sizes_are_looked_up_in_the_subclass():
    assert Sized.resolve_arch("t") == dict(depth=1, embed_dims=4, num_heads=2)
    with pytest.raises(ValueError, match=re.escape("Sized: arch='b' is unknown")):
        Sized.resolve_arch("b")
