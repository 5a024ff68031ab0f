import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from slow_attention import slow_attention
from torch import nn

from mim_plugins.layers import (
    SelfAttention,
    TransformerBlock,
    build_mlp,
    checkpointed_forward,
    init_linear_and_norm,
)


def test_an_mlp_is_two_linear_maps_with_gelu_between():
    network, x = build_mlp(4, 3, drop_rate=0.5), torch.randn(3, 4)
    hidden = F.gelu(x @ network.fc1.weight.T + network.fc1.bias)
    expected = hidden @ network.fc2.weight.T + network.fc2.bias
    assert set(network.state_dict()) == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    assert network.fc1.weight.shape == (12, 4)
    assert not torch.equal(network(x), network(x))
    assert torch.allclose(network.eval()(x), expected, atol=1e-6)


def test_attention_equals_a_slow_reference():
    attention, x = SelfAttention(12, num_heads=3), torch.randn(2, 5, 12)
    assert torch.allclose(attention(x), slow_attention(attention, x), atol=1e-5)


def test_attention_follows_the_order_of_its_tokens():
    attention, x = SelfAttention(12, num_heads=3), torch.randn(2, 5, 12)
    order = torch.tensor([3, 0, 4, 1, 2])
    assert torch.allclose(attention(x[:, order]), attention(x)[:, order], atol=1e-6)


def test_attention_stays_within_an_image():
    attention, x = SelfAttention(12, num_heads=3), torch.randn(2, 5, 12)
    changed = torch.stack([x[0], torch.randn(5, 12)])
    assert torch.equal(attention(x)[0], attention(changed)[0])
    assert not torch.allclose(attention(x)[1], attention(changed)[1])


class Scale(nn.Module):
    """Block that multiplies by a number and adds 1, which depends on the order of the blocks."""

    def __init__(self, number):
        super().__init__()
        self.number = nn.Parameter(torch.tensor(float(number)))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.number + 1


def test_a_block_is_pre_norm_attention_and_mlp():
    block, x = TransformerBlock(12, num_heads=3).eval(), torch.randn(2, 5, 12)
    for norm in (block.norm1, block.norm2):  # non-trivial norms
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    y = x + slow_attention(block.attn, block.norm1(x))
    expected = y + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(y))))
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_widths_and_epsilons_follow_the_arguments():
    block = TransformerBlock(12, num_heads=3, mlp_ratio=2.5, norm_eps=1e-3)
    assert block.mlp.fc1.out_features == 30
    assert block.norm1.eps == block.norm2.eps == 1e-3
    assert TransformerBlock(12, num_heads=3).norm1.eps == 1e-6


def test_block_parameters_have_the_names_of_timm():
    names = set(TransformerBlock(4, num_heads=2).state_dict())
    modules = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    assert names == {f"{module}.{part}" for module in modules for part in ("weight", "bias")}


def test_stochastic_depth_drops_branches_per_image_in_training():
    block, x = TransformerBlock(4, num_heads=2, drop_path_rate=0.5), torch.randn(64, 3, 4)
    dropped = (block(x) == x).flatten(1).all(dim=1)
    assert 0 < dropped.sum() < 64
    assert not (block.eval()(x) == x).flatten(1).all(dim=1).any()


@pytest.mark.parametrize("with_cp", [False, True])
@pytest.mark.parametrize(("out_indices", "expected"), [((), []), ((2, 0), [3101.0, 3.0])])
def test_blocks_run_in_order_and_give_their_intermediates(with_cp, out_indices, expected):
    blocks = nn.ModuleList([Scale(2), Scale(10), Scale(100)])
    x, intermediates = checkpointed_forward(blocks, torch.ones(1), with_cp, out_indices)
    assert x.item() == ((1 * 2 + 1) * 10 + 1) * 100 + 1
    assert [level.item() for level in intermediates] == expected
    x.backward()
    assert [block.calls for block in blocks] == [2 if with_cp else 1] * 3


def test_gradient_checkpointing_changes_no_gradient():
    plain = nn.ModuleList(TransformerBlock(8, num_heads=2) for _ in range(2))
    checkpointed = nn.ModuleList(TransformerBlock(8, num_heads=2) for _ in range(2))
    checkpointed.load_state_dict(plain.state_dict())
    x = torch.randn(2, 5, 8)

    for blocks, with_cp in ((plain, False), (checkpointed, True)):
        y, (level,) = checkpointed_forward(blocks, x, with_cp, out_indices=(0,))
        (y.square().sum() + level.square().sum()).backward()

    for expected, got in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        assert torch.allclose(got.grad, expected.grad, atol=1e-5)


def test_linear_maps_become_xavier_and_norms_the_identity():
    model = nn.Sequential(
        nn.Linear(300, 100), nn.LayerNorm(4), nn.Conv2d(3, 4, 1), nn.Linear(4, 4, bias=False)
    )
    for parameter in model.parameters():
        nn.init.constant_(parameter, 9.0)
    model.apply(init_linear_and_norm)
    linear, norm, conv, _ = model
    bound = math.sqrt(6 / 400)
    assert linear.weight.abs().max() <= bound
    assert math.isclose(linear.weight.std().item(), bound / math.sqrt(3), rel_tol=0.02)
    assert torch.equal(linear.bias, torch.zeros(100))
    assert torch.equal(norm.weight, torch.ones(4))
    assert torch.equal(norm.bias, torch.zeros(4))
    assert (conv.weight == 9).all()


@pytest.mark.parametrize("ratio", ["4", None, 0, -1.0, 0.2, True, float("nan"), float("inf")])
def test_mlps_without_a_usable_width_are_refused(ratio):
    with pytest.raises(ValueError, match=f"mlp_ratio={ratio!r} must be a number"):
        build_mlp(4, ratio)


@pytest.mark.parametrize("ratio", [2, 2.0, np.float32(2), np.int64(2)])
def test_ratios_of_numpy_are_numbers(ratio):
    assert build_mlp(4, ratio).fc1.weight.shape == (8, 4)
