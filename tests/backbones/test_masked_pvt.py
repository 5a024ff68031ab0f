import pytest
import torch

from mim_plugins.backbones import MaskedPVT

ARCH = dict(embed_dims=(8, 16), depths=(1, 1), num_heads=(2, 2), mlp_ratios=(2, 2))


@pytest.fixture
def backbone():
    """Build two stages on grids of 8 and 4; the first has keys of 2x2 tokens."""
    return MaskedPVT(arch=ARCH, img_size=32).eval()


def naive_attention(attention, x, grid, mask):
    """Attend query by query; keys are blocks of one cell of ``mask``, bool on ``grid`` or None."""
    ratio, heads, dim = attention.ratio, attention.num_heads, x.shape[-1]
    tokens, size = x.reshape(len(x), *grid, dim), dim // heads
    blocks, images_of_blocks = [], []
    for row in range(0, grid[0], ratio):
        for col in range(0, grid[1], ratio):
            block = tokens[:, row : row + ratio, col : col + ratio]
            if ratio > 1:
                weight = attention.sr.weight.permute(0, 2, 3, 1)  # (dim, ratio, ratio, dim)
                block = torch.einsum("brcd,orcd->bo", block, weight) + attention.sr.bias
                blocks.append(attention.norm(block))
            else:
                blocks.append(block[:, 0, 0])
            images_of_blocks.append(None if mask is None else bool(mask[row, col]))
    key, value = attention.kv(torch.stack(blocks, dim=1)).chunk(2, dim=-1)
    query = attention.q(x)
    output = torch.empty_like(x)
    for i in range(x.shape[1]):
        own = None if mask is None else bool(mask.flatten()[i])
        visible = [j for j, image in enumerate(images_of_blocks) if image == own]
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            scores = (query[:, i, None, part] * key[:, visible, part]).sum(-1) / size**0.5
            output[:, i, part] = (scores.softmax(-1)[..., None] * value[:, visible, part]).sum(1)
    return attention.proj(output)


@pytest.mark.parametrize(
    ("arch", "millions"), [("tiny", 13.2), ("small", 24.5), ("medium", 44.2), ("l", 61.4)]
)
def test_published_sizes(arch, millions):
    with torch.device("meta"):
        backbone = MaskedPVT(arch=arch)
    # the paper also counts a head (0.5 million) and learned position embeddings (0.3 million)
    count = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
    assert count == pytest.approx(millions - 0.8, abs=0.4)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("stage", [0, 1])
def test_attention_equals_a_naive_loop(backbone, stage, masked):
    (block,) = backbone.stages[stage].blocks
    grid, dim = backbone.stages_info()[stage].grid, backbone.stage_channels[stage]
    cells = torch.rand(4, 4) < 0.5
    mask = cells.repeat_interleave(2 - stage, 0).repeat_interleave(2 - stage, 1)
    x = torch.randn(2, grid[0] * grid[1], dim)
    attn_mask = (mask.flatten()[:, None] == cells.flatten()[None, :])[None] if masked else None
    with torch.no_grad():
        output = block.attn(x, grid, attn_mask)
        expected = naive_attention(block.attn, x, grid, mask if masked else None)
    assert torch.allclose(output, expected, atol=1e-5)


def test_stages_add_positions_and_apply_pre_norm_blocks(backbone):
    images = torch.randn(2, 3, 32, 32)
    (feature,) = backbone(images)
    x = backbone.patch_embed(images)
    for stage in backbone.stages:
        if stage.downsample is not None:
            x = stage.downsample(x.permute(0, 3, 1, 2))
        grid = (x.shape[1], x.shape[2])
        x = (x + stage.pos_embed).flatten(1, 2)
        (block,) = stage.blocks
        x = x + naive_attention(block.attn, block.norm1(x), grid, None)
        x = x + block.mlp(block.norm2(x))
        x = x.unflatten(1, grid)
    assert torch.allclose(feature, backbone.norm(x).permute(0, 3, 1, 2), atol=1e-4)


@pytest.mark.parametrize("chosen", ["all own tokens", "one own token"])
def test_keys_of_the_partner_have_no_influence_and_own_ones_do(backbone, chosen):
    mask = torch.rand(1, 4, 4) < 0.5
    images = torch.randn(1, 3, 32, 32, requires_grad=True)
    tokens = backbone.forward_mixed(images, mask)[~mask.flatten(1)]
    tokens = tokens if chosen == "all own tokens" else tokens[:1]
    (tokens * torch.randn_like(tokens)).sum().backward()
    influence = images.grad.abs().sum(dim=1).unfold(1, 8, 8).unfold(2, 8, 8).sum(dim=(3, 4))
    assert torch.equal(influence > 0, ~mask)


def test_one_key_stands_for_one_cell_of_the_mask_in_every_stage():
    ones = (1, 1, 1, 1)
    arch = dict(embed_dims=(8, 8, 8, 8), depths=ones, num_heads=ones, mlp_ratios=ones)
    backbone = MaskedPVT(arch=arch, img_size=64)
    for index, stage in enumerate(backbone.stages):
        stride = 4 * 2**index
        assert stage.blocks[0].attn.ratio * stride == backbone.encoder_stride == 32


def test_one_width_doubles_from_stage_to_stage():
    backbone = MaskedPVT(arch=ARCH | dict(embed_dims=8), img_size=32)
    assert backbone.stage_channels == (8, 16)


def test_an_mlp_ratio_is_required_per_stage():
    with pytest.raises(ValueError, match=r"arch\['mlp_ratios'\]"):
        MaskedPVT(arch=ARCH | dict(mlp_ratios=(2, 2, 2)), img_size=32)
