import pytest
import torch
from mrmae_fakes import random_mask
from tiny_models import PLAIN_BACKBONES
from torch import nn

from mim_plugins.backbones import MaskedConvViT
from mim_plugins.registry import MODELS

ARCH = PLAIN_BACKBONES["conv_vit"]["arch"]


def tiny(**changes):
    return MODELS.build(PLAIN_BACKBONES["conv_vit"] | dict(img_size=64) | changes).eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64)


@pytest.fixture
def mask():
    return random_mask(2, 16, 6)


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
    if arch == "base":
        assert [block.attn.num_heads for block in encoder.blocks] == [12] * 11


def test_maps_are_the_stages_outputs_with_a_norm_each(images):
    encoder, outputs = tiny(out_indices=(0, 1)), {}
    for index, stage in enumerate((encoder.stage1, encoder.stage2)):
        nn.init.normal_(encoder.out_norms[str(index)].weight)
        stage[-1].register_forward_hook(lambda *call, i=index: outputs.update({i: call[-1]}))
    for index, featmap in enumerate(encoder(images)):
        norm = encoder.out_norms[str(index)]
        expected = norm(outputs[index].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        assert torch.allclose(featmap, expected, atol=1e-6)


def test_visible_tokens_are_block_output_plus_conv_stages(images, mask):
    encoder, outputs = tiny(), {}
    for name, module in (("1", encoder.stage1), ("2", encoder.stage2), ("3", encoder.blocks)):
        module[-1].register_forward_hook(lambda *call, n=name: outputs.update({n: call[-1]}))
    encoded = encoder.forward_masked(images, mask)

    first, second = encoder.stage1_output_decode, encoder.stage2_output_decode
    for image in range(2):
        for place, token in enumerate(mask.ids_keep[image].tolist()):
            row, col = divmod(token, 4)
            cell1 = outputs["1"][image, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
            cell2 = outputs["2"][image, :, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]
            fused = (
                outputs["3"][image, place]
                + torch.einsum("ochw,chw->o", first.weight, cell1) + first.bias
                + torch.einsum("ochw,chw->o", second.weight, cell2) + second.bias
            )  # fmt: skip
            assert torch.allclose(encoded.tokens[image, place], encoder.norm(fused), atol=1e-5)


def test_fusion_adds_projections_to_the_last_tokens_only(images, mask):
    fused, plain = tiny(), tiny(fuse_stages=False)
    incompatible = plain.load_state_dict(fused.state_dict(), strict=False)
    with_fusion, without = (net.forward_masked(images, mask, (1,)) for net in (fused, plain))
    assert incompatible.missing_keys == []
    assert {name.split(".")[0] for name in incompatible.unexpected_keys} == {
        "stage1_output_decode",
        "stage2_output_decode",
    }
    assert not torch.allclose(with_fusion.tokens, without.tokens, atol=1e-3)
    assert torch.equal(with_fusion.intermediates[0], without.intermediates[0])


def test_norms_of_maps_have_the_depth_of_the_head():
    encoder = tiny(out_indices=(0, 1, 2))
    assert encoder.get_layer_depth("out_norms.0.weight") == (4, 5)
    assert encoder.get_layer_depth("stage2.0.conv1.weight") == (0, 5)
    assert encoder.get_layer_depth("patch_embed4.weight") == (0, 5)


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


def test_stages_have_the_depths_and_ratios_of_the_arch():
    encoder = tiny()
    assert [len(stage) for stage in (encoder.stage1, encoder.stage2, encoder.blocks)] == [2, 1, 3]
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
