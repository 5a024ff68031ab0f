"""timm's transformers: our features against their own forward."""

import copy

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from mim_plugins.errors import ConfigError
from mim_plugins.targets.timm_tower import TimmTower, check_norm

SMALL = dict(depth=3, embed_dim=32, num_heads=2)
# every kind of position embedding and of prefix tokens that teachers have; (name, [CLS] attention)
KINDS = {
    "dino": ("vit_small_patch16_224.dino", True),
    "dinov2": ("vit_small_patch14_dinov2", True),
    "dinov2-registers": ("vit_small_patch14_reg4_dinov2", True),
    "dinov3": ("vit_small_patch16_dinov3", True),
    "clip": ("vit_base_patch16_clip_224", True),
    "deit-distilled": ("deit_tiny_distilled_patch16_224", True),
    "deit3": ("deit3_small_patch16_224", True),
    "beit": ("beit_base_patch16_224", True),
    "eva02": ("eva02_tiny_patch14_224", True),
    "eva02-clip": ("eva02_base_patch16_clip_224", True),
    "perception-encoder": ("vit_pe_core_base_patch16_224", True),
    "siglip": ("vit_base_patch16_siglip_224", False),
    "siglip2-gap": ("vit_base_patch16_siglip_gap_224", False),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def build(timm):
    def build_kind(kind, **changes):
        # small pictures: the native grids are 4 x 4
        name = KINDS[kind][0]
        return timm.create_model(name, **SMALL, **dict(img_size=patch(kind) * 4) | changes).eval()

    return build_kind


def patch(kind):
    return 14 if "patch14" in KINDS[kind][0] else 16


def fill(model):
    """Make relative biases, layer scale and prefix tokens nonzero, as after training."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


def unfused(model):
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    return model


@torch.no_grad()
def test_norm_is_that_of_the_librarys_forward_features(build, kind):
    model = fill(build(kind))
    images = torch.randn(2, 3, patch(kind) * 4, patch(kind) * 4)
    expected = model.forward_features(images)[:, model.num_prefix_tokens :]
    tower = TimmTower(model, "norm", kind)
    assert tower.grid == (4, 4)
    assert tower.patch_size == patch(kind)
    assert torch.allclose(tower(images, False)[0], expected, atol=1e-5)
    assert expected.shape == (2, 16, tower.out_channels)


@torch.no_grad()
@pytest.mark.parametrize("block", [0, -2, -1])
def test_a_block_gives_its_output_and_later_blocks_are_gone(build, kind, block):
    model = fill(build(kind))
    images = torch.randn(2, 3, patch(kind) * 4, patch(kind) * 4)
    outputs = []
    with model.blocks[block].register_forward_hook(lambda *args: outputs.append(args[2])):
        model(images)
    tower = TimmTower(model, block, kind)

    expected = outputs[0][:, model.num_prefix_tokens :]
    assert torch.allclose(tower(images, False)[0], expected, atol=1e-6)
    assert len(tower.trunk.blocks) == block % 3 + 1


@torch.no_grad()
@pytest.mark.parametrize("features", ["norm", 1])
def test_attention_is_what_timm_extracts_itself(timm, build, kind, features):
    model = fill(build(kind))
    images = torch.randn(2, 3, patch(kind) * 4, patch(kind) * 4)
    slow = unfused(copy.deepcopy(model))
    tower = TimmTower(model, features, kind)
    assert tower.has_cls_attention == KINDS[kind][1]
    if not tower.has_cls_attention:
        return
    block = features if features == 1 else 2
    library = timm.utils.AttentionExtract(slow, [f"blocks.{block}.attn.attn_drop"], method="hook")
    weights = library(images)[f"blocks.{block}.attn.attn_drop"]  # (B, heads, N, N)
    row = weights.mean(dim=1)[:, 0, model.num_prefix_tokens :]  # (B, L)

    attention = tower(images, True)[1]
    assert torch.allclose(attention, row / row.sum(dim=1, keepdim=True), atol=1e-6)
    assert attention.std() > 1e-4


@torch.no_grad()
@pytest.mark.parametrize("grid", [(6, 6), (3, 5)])
def test_other_grids_equal_timm_loading_the_weights_at_that_size(build, kind, grid):
    model = fill(build(kind))
    size = (grid[0] * patch(kind), grid[1] * patch(kind))
    # relative biases and position embeddings are resized by timm's own loader of checkpoints
    other = build(
        kind,
        img_size=size,
        pretrained=True,
        pretrained_cfg_overlay=dict(
            state_dict=model.state_dict(), num_classes=model.num_classes, source="timm"
        ),
    )
    tower = TimmTower(model, "norm", kind)
    tower.resize(grid)
    images = torch.randn(2, 3, *size)

    expected = other.forward_features(images)[:, other.num_prefix_tokens :]
    assert tower.grid == grid
    assert torch.allclose(tower(images, False)[0], expected, atol=1e-4)


@torch.no_grad()
def test_a_grid_of_as_many_tokens_but_another_shape_is_resized(build):
    tower = TimmTower(build("dino"), "norm", "dino")
    rows = torch.arange(4.0)[:, None].expand(4, 4)
    position = torch.cat([torch.tensor([9.0]), rows.flatten()])
    tower.trunk.pos_embed = nn.Parameter(position.view(1, 17, 1).repeat(1, 1, 32))
    tower.resize((2, 8))
    resized = tower.trunk.pos_embed[0, :, 0]

    assert resized[0] == 9
    assert torch.allclose(resized[1:9], resized[1])
    assert (resized[9:] > resized[1:9]).all()


@torch.no_grad()
def test_a_projection_is_applied_to_every_token(build):
    model = fill(build("dino"))
    images = torch.randn(2, 3, 64, 64)
    norm = model.forward_features(images)[:, 1:]
    projection = nn.Linear(32, 5)
    tower = TimmTower(copy.deepcopy(model), "projection", "dino", projection)

    assert tower.out_channels == 5
    assert torch.allclose(tower(images, False)[0], projection(norm), atol=1e-5)
    assert torch.allclose(
        TimmTower(model, "norm", "dino", projection)(images, False)[0], norm, atol=1e-5
    )


def test_a_projection_is_refused_where_there_is_none(build):
    with pytest.raises(ValueError, match="features='projection': this teacher offers 'norm' or"):
        TimmTower(build("dino"), "projection", "dino")


@torch.no_grad()
def test_compiled_blocks_compute_the_same(build):
    tower = TimmTower(build("dino"), "norm", "dino")
    images = torch.randn(2, 3, 64, 64)
    expected, _ = tower(images, False)
    torch._dynamo.reset()
    counters.clear()
    for block in tower.blocks():
        block.compile(backend="aot_eager")
    assert torch.allclose(tower(images, False)[0], expected, atol=1e-5)
    assert counters["stats"]["unique_graphs"] == 1  # the blocks are equal


@pytest.mark.parametrize("normalize", [False, True])
def test_norm_needs_a_norm_of_tokens_or_normalization(build, kind, normalize):
    tower = TimmTower(build(kind), "norm", kind)
    has_norm = kind not in ("beit", "eva02")
    if has_norm or normalize:
        check_norm(tower, "norm", normalize, kind)
    else:
        with pytest.raises(
            ConfigError, match=rf"{kind}' averages .* normalize=True, or features=-1"
        ):
            check_norm(tower, "norm", normalize, kind)
    check_norm(tower, -1, normalize, kind)
