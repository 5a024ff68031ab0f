"""open_clip's own transformer: our features against its own forward."""

import copy

import pytest
import torch
from torch._dynamo.utils import counters

from mim_plugins.targets.clip_tower import ClipTower


@pytest.fixture
def visual(open_clip):
    return open_clip.create_model("tiny-clip").visual.eval()


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64)


def output_of(module, visual, images):
    """Return the output of ``module`` in the forward pass of ``visual``."""
    outputs = []
    with torch.no_grad(), module.register_forward_hook(lambda *args: outputs.append(args[2])):
        visual(images)
    return outputs[0]


@torch.no_grad()
def test_norm_and_projection_are_those_of_the_librarys_forward(visual, images):
    visual.output_tokens = True
    pooled, tokens = visual(images)  # tokens after the last norm, without [CLS]
    norm, _ = ClipTower(copy.deepcopy(visual), "norm")(images, False)
    tower = ClipTower(copy.deepcopy(visual), "projection")
    projection, _ = tower(images, False)
    assert torch.allclose(norm, tokens, atol=1e-5)
    assert torch.allclose(projection, tokens @ visual.proj, atol=1e-5)
    assert projection.shape == (2, 16, tower.out_channels) == (2, 16, pooled.shape[1])


@pytest.mark.parametrize("block", [0, 1, 2, -1, -3])
def test_a_block_gives_its_output_and_later_blocks_are_gone(visual, images, block):
    expected = output_of(visual.transformer.resblocks[block], visual, images)[:, 1:]
    tower = ClipTower(visual, block)
    assert torch.allclose(tower(images, False)[0], expected, atol=1e-6)
    assert len(tower.visual.transformer.resblocks) == block % 3 + 1
    assert tower.visual.proj is None
    assert tower.out_channels == expected.shape[2]


@pytest.mark.parametrize("features", ["projection", "norm", 1])
def test_attention_is_what_the_librarys_module_computes(visual, images, features):
    block = visual.transformer.resblocks[1 if features == 1 else -1]
    tokens = output_of(block.ln_1, visual, images)
    with torch.no_grad():
        weights = block.attn(tokens, tokens, tokens, average_attn_weights=False)[1]
    row = weights.mean(dim=1)[:, 0, 1:]  # (B, heads, N, N) to (B, L)
    tower = ClipTower(visual, features)
    with torch.no_grad():
        plain, _ = tower(images, False)
        output, attention = tower(images, True)

    assert tower.has_cls_attention
    assert torch.allclose(attention, row / row.sum(dim=1, keepdim=True), atol=1e-6)
    assert torch.allclose(attention.sum(dim=1), torch.ones(2))
    assert torch.allclose(output, plain, atol=1e-5)
    assert not tower.visual.transformer.resblocks[-1].attn._forward_pre_hooks


@torch.no_grad()
def test_attention_of_open_clips_second_attention_class(open_clip, images, monkeypatch):
    visual = open_clip.create_model("tiny-qk-norm").visual.eval()
    attention_class = visual.transformer.resblocks[-1].attn
    tower = ClipTower(visual, "norm")
    output, attention = tower(images, True)
    seen = []
    attention_class.attn_drop.register_forward_hook(lambda *args: seen.append(args[2]))
    attention_class.use_fsdpa = False
    monkeypatch.setattr(torch, "bmm", torch.matmul)  # that path gives bmm 4-D tensors
    slow, _ = tower(images, False)
    row = seen[0].mean(dim=1)[:, 0, 1:]

    assert torch.allclose(output, slow, atol=1e-5)
    assert torch.allclose(attention, row / row.sum(dim=1, keepdim=True), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("grid", [(3, 3), (7, 7)])
def test_other_grids_equal_weights_that_open_clip_resizes(open_clip, tmp_path, visual, grid):
    model = open_clip.create_model("tiny-clip")
    torch.save(model.state_dict(), tmp_path / "clip.pt")
    size = (grid[0] * 16, grid[1] * 16)
    other = open_clip.create_model(
        "tiny-clip", pretrained=str(tmp_path / "clip.pt"), force_image_size=size
    ).visual.eval()
    other.output_tokens = True
    tower = ClipTower(model.visual.eval(), "norm")
    tower.resize(grid)
    images = torch.randn(2, 3, *size)

    assert tower.grid == grid
    assert torch.allclose(tower(images, False)[0], other(images)[1], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("grid", [(3, 5), (2, 8)])  # the latter has as many tokens as 4 x 4
def test_oblong_grids_resize_rows_and_columns_by_themselves(visual, grid):
    tower = ClipTower(visual, "norm")
    rows = torch.arange(4.0)[:, None].expand(4, 4)
    position = torch.cat([torch.tensor([9.0]), rows.flatten()])[:, None].expand(17, 32)
    visual.positional_embedding = torch.nn.Parameter(position.clone())
    tower.resize(grid)
    resized = tower.visual.positional_embedding
    on_grid = resized[1:, 0].view(grid)

    assert (resized[0] == 9).all()
    assert torch.allclose(on_grid, on_grid[:, :1].expand(grid), atol=1e-5)
    assert (on_grid[1:] > on_grid[:-1]).all()
    images = torch.randn(1, 3, grid[0] * 16, grid[1] * 16)
    assert tower(images, False)[0].shape[1] == grid[0] * grid[1]


def test_tokens_exist_only_before_attention_pooling(open_clip, images):
    visual = open_clip.create_model("tiny-coca").visual.eval()
    for features in ("projection", "norm"):
        with pytest.raises(ValueError, match="after attention pooling"):
            ClipTower(visual, features)
    expected = output_of(visual.transformer.resblocks[-1], visual, images)[:, 1:]
    assert torch.allclose(ClipTower(visual, -1)(images, False)[0], expected, atol=1e-6)


@torch.no_grad()
def test_compiled_blocks_compute_the_same(visual, images):
    tower = ClipTower(visual, "norm")
    expected, _ = tower(images, False)
    torch._dynamo.reset()
    counters.clear()
    for block in tower.blocks():
        block.compile(backend="aot_eager")
    assert torch.allclose(tower(images, False)[0], expected, atol=1e-5)
    assert counters["stats"]["unique_graphs"] > 0
    assert not counters["graph_break"]
