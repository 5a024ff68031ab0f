import copy
import re

import pytest
import torch
from mrmae_fakes import STRIDE, enlarge, random_mask, visible_mask
from tiny_models import PLAIN_BACKBONES
from torch import nn

from mim_plugins.backbones import PlainBackbone
from mim_plugins.checkpoints import load_pretrained
from mim_plugins.errors import CheckpointError, ConfigError
from mim_plugins.masking import TokenMask

BLOCKS = 3


@pytest.fixture(params=PLAIN_BACKBONES)
def config(request):
    return copy.deepcopy(PLAIN_BACKBONES[request.param])


@pytest.fixture
def images():
    return torch.randn(2, 3, 96, 96)


@pytest.fixture
def mask():
    return random_mask(2)


def test_encoded_tokens_have_the_documented_shapes(build, images, mask):
    encoder = build()
    encoded = encoder.forward_masked(images, mask, out_indices=(0, 2))
    assert encoded.tokens.shape == (2, 9, 16)
    assert [tuple(level.shape) for level in encoded.intermediates] == [(2, 9, 16), (2, 9, 16)]
    if encoder.cls_token is None:
        assert encoded.prefix_tokens is None
    else:
        assert encoded.prefix_tokens.shape == (2, 1, 16)


def test_masked_pixels_do_not_influence_the_output(build, images, mask):
    encoder, hidden = build(), enlarge(mask.mask.reshape(2, 1, 6, 6))
    changed = torch.where(hidden, 10 * torch.randn_like(images), images)
    with torch.no_grad():
        before, after = (
            encoder.forward_masked(each, mask, out_indices=(0, 1, 2)) for each in (images, changed)
        )
    assert torch.equal(before.tokens, after.tokens)
    assert before.prefix_tokens is None or torch.equal(before.prefix_tokens, after.prefix_tokens)
    for level_before, level_after in zip(before.intermediates, after.intermediates, strict=True):
        assert torch.equal(level_before, level_after)


def test_a_visible_patch_changes_every_visible_token(build, images, mask):
    encoder, token = build(), mask.ids_keep[0, 0].item()
    row, col = STRIDE * (token // 6), STRIDE * (token % 6)
    changed = images.clone()
    changed[0, :, row : row + STRIDE, col : col + STRIDE] = torch.randn(3, STRIDE, STRIDE)
    with torch.no_grad():
        before, after = (encoder.forward_masked(each, mask).tokens for each in (images, changed))

    difference = (before - after).abs().amax(dim=2)
    assert difference[0].min() > 1e-6
    assert difference[0].argmax() == 0
    assert torch.equal(before[1], after[1])


def test_gradients_are_zero_exactly_on_masked_pixels(build, images, mask):
    encoded = build().forward_masked(images.requires_grad_(), mask, out_indices=(0, 1, 2))
    outputs = [encoded.tokens, *encoded.intermediates]
    if encoded.prefix_tokens is not None:
        outputs.append(encoded.prefix_tokens)
    sum((output * torch.randn_like(output)).sum() for output in outputs).backward()
    hidden = enlarge(mask.mask.reshape(2, 1, 6, 6)).expand_as(images)
    assert (images.grad[hidden] == 0).all()
    assert (images.grad[~hidden] != 0).all()


def test_tokens_come_in_the_order_of_ids_keep(build, images, mask):
    encoder, order = build(), torch.randperm(9)
    permuted_mask = mask._replace(ids_keep=mask.ids_keep[:, order])
    with torch.no_grad():
        encoded, permuted = (
            encoder.forward_masked(images, each, out_indices=(1,)) for each in (mask, permuted_mask)
        )
    assert not torch.allclose(encoded.tokens, permuted.tokens, atol=1e-3)
    assert torch.allclose(encoded.tokens[:, order], permuted.tokens, atol=1e-5)
    level = encoded.intermediates[0][:, order]
    assert torch.allclose(level, permuted.intermediates[0], atol=1e-5)
    if encoded.prefix_tokens is not None:
        assert torch.allclose(encoded.prefix_tokens, permuted.prefix_tokens, atol=1e-5)


@pytest.mark.parametrize("size", [(96, 96), (64, 128)])
def test_with_all_tokens_visible_masking_changes_nothing(build, size):
    encoder, images = build(), torch.randn(2, 3, *size)
    order = torch.stack([torch.randperm(size[0] * size[1] // STRIDE**2) for _ in range(2)])
    with torch.no_grad():
        encoded = encoder.forward_masked(images, visible_mask(order, order.shape[1]))
        (featmap,) = encoder(images)
    tokens = featmap.flatten(2).transpose(1, 2)
    expected = torch.stack([tokens[image, order[image]] for image in range(2)])
    assert torch.allclose(encoded.tokens, expected, atol=1e-5)


def test_images_of_a_batch_are_independent(build, images, mask):
    encoder = build()
    with torch.no_grad():
        together = encoder.forward_masked(images, mask).tokens
        for image in range(2):
            part = slice(image, image + 1)
            alone = encoder.forward_masked(images[part], TokenMask(*(each[part] for each in mask)))
            assert torch.allclose(together[part], alone.tokens, atol=1e-5)


def test_intermediates_are_the_outputs_of_the_requested_blocks(build, images, mask):
    encoder, outputs = build(), []
    for block in encoder.blocks:
        block.register_forward_hook(lambda *call: outputs.append(call[-1]))
    encoded = encoder.forward_masked(images, mask, out_indices=(0, 2))

    prefix = 0 if encoder.cls_token is None else 1
    assert len(outputs) == BLOCKS
    assert torch.equal(encoded.intermediates[0], outputs[0][:, prefix:])
    assert torch.equal(encoded.intermediates[1], outputs[2][:, prefix:])
    assert encoder.forward_masked(images, mask).intermediates == ()


def test_tokens_are_normalized(build, images, mask):
    encoded = build().forward_masked(images, mask)
    for tokens in (encoded.tokens, encoded.prefix_tokens):
        if tokens is not None:
            assert torch.allclose(tokens.mean(dim=-1), torch.zeros(()), atol=1e-5)
            assert torch.allclose(tokens.var(dim=-1, unbiased=False), torch.ones(()), atol=1e-2)


def test_a_mask_for_another_grid_is_refused(build, mask):
    with pytest.raises(ValueError, match=r"4 \* 8\), but is \(2, 36\)"):
        build().forward_masked(torch.randn(2, 3, 64, 128), mask)


@pytest.mark.parametrize("size", [(50, 70), (33, 100), (7, 5)])
def test_unmasked_images_are_padded_to_the_stride(build, size):
    encoder, images = build(), torch.randn(2, 3, *size)
    bottom, right = -size[0] % STRIDE, -size[1] % STRIDE
    padded = nn.functional.pad(images, (0, right, 0, bottom))
    assert torch.equal(encoder(images)[0], encoder(padded)[0])


def test_pooled_features_are_the_norm_of_the_mean_of_the_tokens(build):
    maps, pooled = build(), build(out_type="avg_featmap")
    state = {re.sub(r"^norm\.", "fc_norm.", name): t for name, t in maps.state_dict().items()}
    pooled.load_state_dict(state)
    assert set(state) - set(maps.state_dict()) == {"fc_norm.weight", "fc_norm.bias"}
    maps.norm = nn.Identity()
    images = torch.randn(2, 3, 50, 70)
    expected = pooled.fc_norm(maps(images)[0].mean(dim=(2, 3)))
    assert torch.allclose(pooled(images)[0], expected, atol=1e-5)


@pytest.mark.parametrize(("global_blocks", "meet"), [((), False), ((-1,), True), (1, True)])
def test_windows_interact_in_global_blocks_only(build, global_blocks, meet):
    encoder = build(window_size=3, global_blocks=global_blocks)
    tokens = torch.randn(1, 5, 7, 16)  # windows at the border are padded
    # convolutions cross window borders
    encoder.embed, encoder.fuse_stages = lambda *_: (tokens, None), False
    (before,) = encoder(torch.zeros(1, 3, 80, 112))
    tokens = tokens.clone()
    tokens[:, 3:] += torch.randn(2, 7, 16)
    (after,) = encoder(torch.zeros(1, 3, 80, 112))
    assert torch.equal(before[:, :, :3], after[:, :, :3]) is not meet
    assert not torch.isclose(before[:, :, 3:], after[:, :, 3:]).all(dim=1).any()


def test_windows_as_large_as_the_grid_change_nothing(build):
    plain, windowed = (build(out_indices=(0, 2), window_size=window) for window in (None, 6))
    windowed.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 96, 80)
    for expected, found in zip(plain(images), windowed(images), strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


def test_pre_training_ignores_windows(build, images, mask):
    plain, windowed = build(), build(window_size=2, global_blocks=(1,))
    windowed.load_state_dict(plain.state_dict())
    expected = plain.forward_masked(images, mask)
    assert torch.equal(windowed.forward_masked(images, mask).tokens, expected.tokens)


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(window_size=0), "window_size=0"),
        (dict(window_size="global"), "window_size='global'.*None"),
        (dict(window_size=2, global_blocks=(3,)), r"global_blocks=\(3,\).*-3 and 2"),
        (dict(window_size=2, global_blocks=(2, -1)), r"global_blocks=\(2, -1\).*distinct"),
        (dict(global_blocks=(1,)), "requires window_size"),
    ],
)
def test_wrong_windows_are_refused(build, changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize("out_indices", [(1,), (0, 2), (2, 0), (0, 1, 2)])
def test_pooling_refuses_other_outputs_than_the_last(build, out_indices):
    text = rf"out_indices={re.escape(str(out_indices))} must be 2, the last.*avg_featmap"
    with pytest.raises(ConfigError, match=text):
        build(out_type="avg_featmap", out_indices=out_indices)


@pytest.mark.parametrize("out_indices", [2, -1, (2,)])
def test_pooling_accepts_the_last_output(build, out_indices):
    (features,) = build(out_type="avg_featmap", out_indices=out_indices)(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, 16)


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


class Sized(PlainBackbone):
    arch_settings = {"tiny": dict(depth=1, embed_dims=4, num_heads=2)}


def test_a_subclass_must_implement_embed(images, mask):
    unfinished = Sized(arch="tiny", img_size=96, encoder_stride=STRIDE)
    with pytest.raises(NotImplementedError):
        unfinished.forward_masked(images, mask)


def test_names_of_sizes_are_looked_up_in_the_subclass():
    assert Sized.resolve_arch("t") == dict(depth=1, embed_dims=4, num_heads=2)
    with pytest.raises(ValueError, match=re.escape("Sized: arch='b' is unknown")):
        Sized.resolve_arch("b")


@pytest.mark.parametrize("out_type", ["featmap", "avg_featmap"])
def test_files_with_both_norms_are_read_for_maps_only(build, out_type, tmp_path):
    maps, pooled = build(), build(out_type="avg_featmap")
    torch.save(pooled.state_dict() | maps.state_dict(), tmp_path / "both.pth")
    encoder = build(out_type=out_type)
    if out_type == "featmap":
        assert load_pretrained(encoder, tmp_path / "both.pth").unexpected == {"backbone.fc_norm": 2}
        assert torch.equal(encoder.norm.weight, maps.norm.weight)
        return
    with pytest.raises(CheckpointError, match=r"norm\.bias, norm\.weight"):
        load_pretrained(encoder, tmp_path / "both.pth")
