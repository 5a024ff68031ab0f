import math

import pytest
import torch
from torch import nn

from mim_plugins.backbones import MaskedConvViT
from mim_plugins.masking import TokenMask

ARCH = dict(depths=(2, 1, 2), embed_dims=(8, 12, 16), mlp_ratios=(2, 3, 2), num_heads=2)


def tiny(**changes):
    return MaskedConvViT(**(dict(arch=ARCH, img_size=64) | changes)).eval()


def random_mask(visible=6):
    order = torch.stack([torch.randperm(16), torch.randperm(16)])
    ids_restore = order.argsort(dim=1)
    return TokenMask(order[:, :visible], ids_restore, ids_restore >= visible)


def authors_parameters(depths, dims, ratios):
    """Count the parameters of the authors' encoder in pre-training from its description."""
    count = 0
    for patch, width, dim in zip((4, 2, 2), (3, *dims[:2]), dims, strict=True):
        count += patch**2 * width * dim + dim + 2 * dim  # patch embedding with norm
    count += dims[2] ** 2 + dims[2]  # fourth embedding, a linear layer
    for depth, dim, ratio in zip(depths[:2], dims[:2], ratios[:2], strict=True):
        convolutions = 2 * (dim**2 + dim) + 25 * dim + dim
        count += depth * (4 * dim + convolutions + 2 * ratio * dim**2 + ratio * dim + dim)
    dim, ratio = dims[2], ratios[2]
    attention = 4 * (dim**2 + dim)
    count += depths[2] * (4 * dim + attention + 2 * ratio * dim**2 + ratio * dim + dim)
    count += 4**2 * dims[0] * dim + dim + 2**2 * dims[1] * dim + dim  # projections of both stages
    return count + 2 * dim


@pytest.mark.parametrize(
    ("arch", "depths", "dims", "ratios"),
    [
        ("small", (2, 2, 11), (128, 256, 384), (4, 4, 4)),
        ("base", (2, 2, 11), (256, 384, 768), (4, 4, 4)),
        ("large", (2, 2, 23), (384, 768, 1024), (8, 8, 4)),
        ("huge", (2, 2, 31), (768, 1024, 1280), (8, 8, 4)),
    ],
)
def test_sizes_are_those_of_mcmae(arch, depths, dims, ratios):
    with torch.device("meta"):
        encoder = MaskedConvViT(arch=arch)

    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert count == authors_parameters(depths, dims, ratios)


def test_base_has_twelve_heads_in_eleven_blocks():
    with torch.device("meta"):
        encoder = MaskedConvViT(arch="base")

    assert [block.attn.num_heads for block in encoder.blocks] == [12] * 11


@pytest.mark.parametrize("size", [(64, 64), (50, 70), (33, 100), (7, 5)])
def test_maps_have_strides_4_8_and_16_on_any_image_size(size):
    maps = tiny(out_indices=(0, 1, 2))(torch.randn(2, 3, *size))

    grid = (math.ceil(size[0] / 16), math.ceil(size[1] / 16))
    for featmap, dim, factor in zip(maps, (8, 12, 16), (4, 2, 1), strict=True):
        assert featmap.shape == (2, dim, factor * grid[0], factor * grid[1])
        assert featmap.is_contiguous()


def test_maps_are_the_stages_outputs_with_a_norm_each():
    encoder, images, outputs = tiny(out_indices=(0, 1)), torch.randn(1, 3, 64, 64), {}
    for index, stage in enumerate((encoder.stage1, encoder.stage2)):
        nn.init.normal_(encoder.out_norms[str(index)].weight)
        stage[-1].register_forward_hook(lambda *call, i=index: outputs.update({i: call[-1]}))

    maps = encoder(images)

    for index, featmap in enumerate(maps):
        norm = encoder.out_norms[str(index)]
        expected = norm(outputs[index].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        assert torch.allclose(featmap, expected, atol=1e-6)


def test_out_indices_determine_the_returned_maps_and_order():
    images, all_stages = torch.randn(1, 3, 64, 64), tiny(out_indices=(0, 1, 2))
    chosen = tiny(out_indices=(-1, 0))
    chosen.load_state_dict(all_stages.state_dict(), strict=False)

    last, first = chosen(images)

    assert torch.equal(last, all_stages(images)[2])
    assert torch.equal(first, all_stages(images)[0])


def test_only_maps_of_convolution_stages_have_extra_norms():
    assert set(tiny().out_norms) == set()
    assert set(tiny(out_indices=(0, 1, 2)).out_norms) == {"0", "1"}
    assert set(tiny(out_indices=(1, -1)).out_norms) == {"1"}
    assert set(tiny(out_indices=(0, 1, 2), out_type="avg_featmap").out_norms) == set()


def test_the_norms_of_the_maps_have_the_heads_depth():
    encoder = tiny(out_indices=(0, 1, 2))

    assert encoder.get_layer_depth("out_norms.0.weight") == (3, 4)
    assert encoder.get_layer_depth("stage2.0.conv1.weight") == (0, 4)
    assert encoder.get_layer_depth("patch_embed4.weight") == (0, 4)


def test_visible_tokens_are_block_output_plus_conv_stages():
    encoder, images, token_mask = tiny(), torch.randn(2, 3, 64, 64), random_mask()
    outputs = {}
    for name, module in (("1", encoder.stage1), ("2", encoder.stage2), ("3", encoder.blocks)):
        module[-1].register_forward_hook(lambda *call, n=name: outputs.update({n: call[-1]}))

    encoded = encoder.forward_masked(images, token_mask)

    first, second = encoder.stage1_output_decode, encoder.stage2_output_decode
    for image in range(2):
        for place, token in enumerate(token_mask.ids_keep[image].tolist()):
            row, col = divmod(token, 4)
            cell1 = outputs["1"][image, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
            cell2 = outputs["2"][image, :, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
            fused = (
                outputs["3"][image, place]
                + torch.einsum("ochw,chw->o", first.weight, cell1) + first.bias
                + torch.einsum("ochw,chw->o", second.weight, cell2) + second.bias
            )  # fmt: skip
            assert torch.allclose(encoded.tokens[image, place], encoder.norm(fused), atol=1e-5)


def test_without_fusion_the_projections_are_missing():
    fused, plain = tiny(), tiny(fuse_stages=False)
    images, token_mask = torch.randn(2, 3, 64, 64), random_mask()

    incompatible = plain.load_state_dict(fused.state_dict(), strict=False)

    assert incompatible.missing_keys == []
    assert {name.split(".")[0] for name in incompatible.unexpected_keys} == {
        "stage1_output_decode",
        "stage2_output_decode",
    }
    assert not torch.allclose(
        fused.forward_masked(images, token_mask).tokens,
        plain.forward_masked(images, token_mask).tokens,
        atol=1e-3,
    )


def test_intermediates_exclude_the_fused_stages():
    fused, plain = tiny(), tiny(fuse_stages=False)
    plain.load_state_dict(fused.state_dict(), strict=False)
    images, token_mask = torch.randn(2, 3, 64, 64), random_mask()

    (with_fusion,) = fused.forward_masked(images, token_mask, out_indices=(1,)).intermediates
    (without_fusion,) = plain.forward_masked(images, token_mask, out_indices=(1,)).intermediates

    assert torch.equal(with_fusion, without_fusion)


def test_convolutions_mix_neighboring_visible_cells():
    # two visible neighbors: the first map of the left one depends on the right one
    encoder, images = tiny(), torch.randn(1, 3, 64, 64)
    changed = images.clone()
    changed[:, :, 16:32, 32:48] = torch.randn(1, 3, 16, 16)  # row 1, column 2

    def first_map(images, shown):
        visible = torch.zeros(1, 16, dtype=torch.bool)
        visible[0, shown] = True
        return encoder.embed(images, visible.reshape(1, 1, 4, 4))[1].stage1[0, :, 4:8, 4:8]

    alone = first_map(images, [5]) - first_map(changed, [5])
    together = first_map(images, [5, 6]) - first_map(changed, [5, 6])

    assert (alone == 0).all()
    assert together[..., -1].abs().max() > 1e-3


def test_stochastic_depth_grows_linearly_over_all_stages():
    encoder = tiny(drop_path_rate=0.4)

    blocks = [*encoder.stage1, *encoder.stage2, *encoder.blocks]
    assert [block.drop_path.p for block in blocks] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_stages_have_the_depths_and_ratios_of_the_arch():
    encoder = tiny()

    assert [len(stage) for stage in (encoder.stage1, encoder.stage2, encoder.blocks)] == [2, 1, 2]
    hidden = [encoder.stage1[0], encoder.stage2[0], encoder.blocks[0]]
    assert [block.mlp.fc1.weight.shape[0] for block in hidden] == [16, 36, 32]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(embed_dims=(8, 12)), r"arch\['embed_dims'\]=\(8, 12\) must list 3"),
        (dict(embed_dims=16), r"arch\['embed_dims'\]=16"),
        (dict(depths=(1, 1)), r"arch\['depths'\]=.* must list 3"),
        (
            dict(depths=(1, 1, 1, 1), embed_dims=(8, 8, 8, 8), mlp_ratios=(1, 1, 1, 1)),
            r"arch\['\w+'\]=.*3",
        ),
    ],
)
def test_an_arch_without_three_stages_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(arch=ARCH | changes)


def test_other_channels_of_the_image_are_possible():
    assert tiny(in_channels=1)(torch.randn(1, 1, 64, 64))[0].shape == (1, 16, 4, 4)


def test_windows_as_large_as_the_grid_change_nothing():
    plain, windowed = tiny(out_indices=(0, 1, 2)), tiny(out_indices=(0, 1, 2), window_size=4)
    windowed.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 64, 50)

    for expected, found in zip(plain(images), windowed(images), strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("global_blocks", "meet"), [((), False), ((0,), True)])
def test_windows_interact_in_global_blocks_only(global_blocks, meet):
    encoder = tiny(window_size=3, global_blocks=global_blocks, fuse_stages=False)
    tokens = torch.randn(1, 5, 7, 16)
    encoder.embed = lambda *_: (tokens, None)  # convolutions cross window borders
    (before,) = encoder(torch.zeros(1, 3, 80, 112))
    tokens = tokens.clone()
    tokens[:, 3:] += torch.randn(2, 7, 16)

    (after,) = encoder(torch.zeros(1, 3, 80, 112))

    assert torch.equal(before[:, :, :3], after[:, :, :3]) is not meet


def test_pre_training_ignores_windows():
    plain, windowed = tiny(), tiny(window_size=2)
    windowed.load_state_dict(plain.state_dict())
    images, mask = torch.randn(2, 3, 64, 64), random_mask()

    expected = plain.forward_masked(images, mask)

    assert torch.equal(windowed.forward_masked(images, mask).tokens, expected.tokens)


@pytest.mark.parametrize(
    ("frozen_stages", "frozen"),
    [
        (-1, ()),
        (0, ("patch_embed1.",)),
        (1, ("patch_embed1.", "stage1.")),
        (2, ("patch_embed1.", "stage1.", "patch_embed2.", "stage2.")),
        (3, ("patch_embed", "stage1.", "stage2.", "blocks.0.")),
    ],
)
def test_frozen_stages_get_no_gradient_and_stay_in_evaluation(frozen_stages, frozen):
    encoder = tiny(frozen_stages=frozen_stages, drop_path_rate=0.5).train()

    encoder(torch.randn(2, 3, 64, 64))[0].square().mean().backward()

    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen), name
        assert (parameter.grad is None) == name.startswith(frozen), name
    for name, module in encoder.named_modules():
        assert module.training != f"{name}.".startswith(frozen), name


@pytest.mark.parametrize("frozen_stages", [-2, 5])
def test_stages_that_do_not_exist_cannot_be_frozen(frozen_stages):
    with pytest.raises(ValueError, match=f"frozen_stages={frozen_stages} .*-1 and 4"):
        tiny(frozen_stages=frozen_stages)


def test_gradient_checkpointing_covers_the_convolutions_too():
    encoder, calls = tiny(with_cp=True), []
    for block in (*encoder.stage1, *encoder.stage2):
        block.register_forward_pre_hook(lambda block, _: calls.append(block))

    encoder.forward_masked(torch.randn(2, 3, 64, 64), random_mask()).tokens.sum().backward()

    assert len(calls) == 2 * len(set(calls)) == 6
