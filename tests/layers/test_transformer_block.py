import pytest
import torch
import torch.nn.functional as F
from slow_attention import slow_attention
from torch import nn

from mim_plugins.layers import TransformerBlock, run_blocks


class Scale(nn.Module):
    """A block that multiplies by a number and adds 1, so that the order of the blocks shows."""

    def __init__(self, number):
        super().__init__()
        self.number = nn.Parameter(torch.tensor(float(number)))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.number + 1


def test_a_block_is_attention_and_a_feed_forward_network_each_after_a_norm():
    block, x = TransformerBlock(12, num_heads=3).eval(), torch.randn(2, 5, 12)
    for norm in (block.norm1, block.norm2):  # norms that do something
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)

    y = x + slow_attention(block.attn, block.norm1(x))
    expected = y + block.mlp.fc2(F.gelu(block.mlp.fc1(block.norm2(y))))

    assert torch.allclose(block(x), expected, atol=1e-5)


def test_widths_and_epsilons_are_those_asked_for():
    block = TransformerBlock(12, num_heads=3, mlp_ratio=2.5, norm_eps=1e-3)

    assert block.mlp.fc1.out_features == 30
    assert block.norm1.eps == block.norm2.eps == 1e-3
    assert TransformerBlock(12, num_heads=3).norm1.eps == 1e-6


def test_parameters_have_the_names_of_timm():
    names = set(TransformerBlock(4, num_heads=2).state_dict())

    modules = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    assert names == {f"{module}.{part}" for module in modules for part in ("weight", "bias")}


def test_stochastic_depth_drops_whole_branches_of_images_in_training_only():
    block, x = TransformerBlock(4, num_heads=2, drop_path_rate=0.5), torch.randn(64, 3, 4)

    dropped = (block(x) == x).flatten(1).all(dim=1)

    assert 0 < dropped.sum() < 64
    assert not (block.eval()(x) == x).flatten(1).all(dim=1).any()


def test_blocks_run_one_after_another():
    blocks = nn.ModuleList([Scale(2), Scale(10), Scale(100)])

    x, kept = run_blocks(blocks, torch.ones(1), with_cp=False)

    assert x.item() == ((1 * 2 + 1) * 10 + 1) * 100 + 1
    assert kept == []


@pytest.mark.parametrize("with_cp", [False, True])
def test_outputs_of_the_blocks_asked_for_come_in_the_order_asked_for(with_cp):
    blocks = nn.ModuleList([Scale(2), Scale(10), Scale(100)])

    x, kept = run_blocks(blocks, torch.ones(1), with_cp, keep=(2, 0))

    assert [level.item() for level in kept] == [3101.0, 3.0]
    assert x.item() == 3101.0


def test_gradient_checkpointing_recomputes_each_block_and_changes_no_gradient():
    plain = nn.ModuleList(TransformerBlock(8, num_heads=2) for _ in range(2))
    checkpointed = nn.ModuleList(TransformerBlock(8, num_heads=2) for _ in range(2))
    checkpointed.load_state_dict(plain.state_dict())
    x = torch.randn(2, 5, 8)

    for blocks, with_cp in ((plain, False), (checkpointed, True)):
        y, (level,) = run_blocks(blocks, x, with_cp, keep=(0,))
        (y.square().sum() + level.square().sum()).backward()

    for expected, got in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        assert torch.allclose(got.grad, expected.grad, atol=1e-5)


@pytest.mark.parametrize(("with_cp", "runs"), [(False, 1), (True, 2)])
def test_checkpointed_blocks_run_a_second_time_in_the_backward_pass(with_cp, runs):
    blocks = nn.ModuleList([Scale(1), Scale(2)])

    run_blocks(blocks, torch.zeros(1), with_cp)[0].sum().backward()

    assert [block.calls for block in blocks] == [runs, runs]
