"""The Triton kernels in Triton's interpreter; test_attention_kernel.py runs this file."""

import warnings

import pytest
import torch
import triton.language as tl
from torch.utils.checkpoint import checkpoint
from triton.runtime import interpreter

from mim_plugins.layers import (
    AttentionBlocks,
    Grouping,
    WindowAttention,
    WindowKind,
    WindowPlanner,
    attend_in_groups,
    attend_with_pytorch,
    attention_op,
    kernel_choice,
)
from mim_plugins.layers.attention_op import biased_attention, biased_attention_backward
from mim_plugins.layers.kernel_check import find_difference

CPU = torch.device("cpu")
TOLERANCES = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


@pytest.fixture(autouse=True)
def _bfloat16_products(monkeypatch):
    """Widen bfloat16 in products, because the interpreter would multiply its bit patterns."""
    product = interpreter.InterpreterBuilder.create_dot

    def wide(builder, left, right, *others):
        left, right = (
            builder.cast_impl(x, tl.float32) if x.dtype.scalar == tl.bfloat16 else x
            for x in (left, right)
        )
        return product(builder, left, right, *others)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", wide)


@pytest.fixture(autouse=True)
def _no_verdicts(monkeypatch):
    monkeypatch.setattr(kernel_choice, "_verdicts", {})


def group_mask(groups, tokens):
    side = torch.rand(groups, tokens) < 0.5
    return torch.zeros(groups, tokens, tokens).masked_fill(
        side[:, :, None] != side[:, None, :], -torch.inf
    )


def make(images, heads, channels, blocks, dtype=torch.float32, shared=False, masked=False):
    """Return qkv, biases, counts and mask."""
    length = sum(count * tokens for count, tokens in blocks)
    qkv = torch.randn(images, length, 3, heads, channels).to(dtype).requires_grad_()
    biases = [
        torch.randn(1 if shared else count, heads, tokens, tokens, requires_grad=True)
        for count, tokens in blocks
    ]
    mask = group_mask(*blocks[0]) if masked else None
    return qkv, biases, [count for count, _ in blocks], mask


def with_gradients(attend, qkv, biases, grad):
    output = attend(qkv, biases)
    return output, *torch.autograd.grad(output, [qkv, *biases], grad)


def assert_equal_to_float64(qkv, biases, counts, mask):
    grad = torch.randn(*qkv.shape[:2], *qkv.shape[3:]).to(qkv.dtype)
    found = with_gradients(
        lambda x, bias: biased_attention(x, bias, counts, mask)[0], qkv, biases, grad
    )
    exact = [x.detach().double().requires_grad_() for x in (qkv, *biases)]
    mask = None if mask is None else mask[None].double()
    expected = with_gradients(
        lambda x, bias: attend_with_pytorch(x, [b[None] for b in bias], counts, mask),
        exact[0], exact[1:], grad.double(),
    )  # fmt: skip
    for ours, theirs in zip(found, expected, strict=True):
        error = (ours - theirs).abs().max() / theirs.abs().max().clamp_min(0.1)
        assert error < TOLERANCES[qkv.dtype]


CASES = dict(
    ragged=dict(images=3, heads=2, channels=32, blocks=[(2, 5), (1, 25)]),
    shared_and_masked=dict(
        images=5, heads=2, channels=24, blocks=[(3, 9)], shared=True, masked=True
    ),
    masked=dict(images=2, heads=1, channels=16, blocks=[(2, 7)], masked=True),
    one_image=dict(images=1, heads=3, channels=8, blocks=[(1, 1), (2, 3)]),
    several_kernels=dict(images=3, heads=1, channels=16, blocks=[(2, 33)], shared=True),
    many_blocks=dict(images=1, heads=1, channels=40, blocks=[(1, 65)]),
    wide=dict(images=3, heads=1, channels=128, blocks=[(1, 20)], dtype=torch.float16),
    half=dict(images=2, heads=1, channels=32, blocks=[(1, 49), (2, 24)], dtype=torch.float16),
    bfloat16=dict(images=3, heads=1, channels=32, blocks=[(1, 100)], dtype=torch.bfloat16),
    bfloat16_several=dict(images=1, heads=1, channels=32, blocks=[(1, 129)], dtype=torch.bfloat16),
)


@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients_equal_pytorch_in_float64(case):
    assert_equal_to_float64(*make(**CASES[case]))


def test_a_mask_of_one_group_is_shared_by_all():
    qkv, (bias,), counts, mask = make(2, 1, 16, [(2, 5)], masked=True)
    args = qkv, [bias[None]], counts, mask[None, :1]
    torch.testing.assert_close(
        attend_in_groups(*args), attend_with_pytorch(*args), rtol=1e-4, atol=1e-5
    )


def test_operators_fulfil_pytorch_contract():
    args = make(2, 1, 16, [(1, 3), (2, 2)])
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(biased_attention, args, test_utils=checks)
    output, lse = (x.detach() for x in biased_attention(*args))
    qkv, biases, counts, mask = args
    biases = [bias.detach() for bias in biases]
    backward = output, qkv.detach(), biases, counts, mask, output, lse
    torch.library.opcheck(
        biased_attention_backward, backward, test_utils=("test_schema", "test_faketensor")
    )


def test_results_are_equal_to_the_bit_in_deterministic_mode():
    args = make(5, 1, 16, [(1, 6)])
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (
            with_gradients(
                lambda x, bias: biased_attention(x, bias, args[2], None)[0],
                args[0], args[1], torch.ones(5, 6, 1, 16),
            )
            for _ in range(2)
        )  # fmt: skip
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(x, y) for x, y in zip(first, second, strict=True))


def window_attention():
    """Return a module, its input, and the arguments for windows of groups."""
    attention = WindowAttention(16, 4, 1)
    torch.nn.init.normal_(attention.relative_position_bias_table)
    (plan,) = WindowPlanner((WindowKind(4),))(torch.rand(1, 4, 4) < 0.5, CPU, Grouping.RAGGED)
    x = torch.randn(2, 16, 16)
    return attention, x, (plan.layout.window, plan.attn_mask, plan.groups, plan.bias_rows)


def run(attention, x, others, call=None):
    attention.zero_grad()
    output = (attention if call is None else call)(x, *others)
    output.square().sum().backward()
    return [output.detach(), *(p.grad.clone() for p in attention.parameters())]


def assert_close(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_modules_use_the_kernels_and_agree_with_pytorch(monkeypatch):
    attention, x, others = window_attention()
    calls = []
    kernel = attention_op.biased_attention
    monkeypatch.setattr(
        "mim_plugins.layers.window_attention.biased_attention",
        lambda *args: calls.append(args) or kernel(*args),
    )
    found = run(attention, x, others)
    assert len(calls) == 1
    recomputed = run(
        attention, x, others, lambda *args: checkpoint(attention, *args, use_reentrant=False)
    )
    monkeypatch.setenv(kernel_choice.VARIABLE, "sdpa")
    expected = run(attention, x, others)
    assert len(calls) == 3
    assert_close(found, expected)
    assert_close(recomputed, expected)


def test_one_graph_is_compiled_and_equals_eager():
    attention, x, others = window_attention()
    eager = run(attention, x, others)
    kernel_choice._verdicts.clear()  # the comparison happens while the graph is traced
    compiled = torch.compile(attention, backend="aot_eager", fullgraph=True, dynamic=False)
    assert_close(run(attention, x, others, compiled), eager)


def test_own_masks_and_dropout_take_pytorch(monkeypatch):
    qkv, (bias,), counts, mask = make(2, 1, 16, [(1, 5)], masked=True)
    monkeypatch.delattr("mim_plugins.layers.window_attention.biased_attention")
    own_masks = mask[None].repeat(2, 1, 1, 1)
    assert attend_in_groups(qkv, [bias[None]], counts, own_masks).shape == (2, 5, 1, 16)
    assert attend_in_groups(qkv, [bias[None]], counts, mask[None], 0.5).shape == (2, 5, 1, 16)


def test_a_wrong_kernel_is_replaced_with_one_warning(monkeypatch):
    qkv, (bias,), counts, _ = make(2, 1, 16, [(1, 5)])
    expected = attend_with_pytorch(qkv, [bias[None]], counts)

    def wrong(*args):
        output, lse = biased_attention(*args)
        return output * 1.01, lse

    monkeypatch.setattr("mim_plugins.layers.kernel_check.biased_attention", wrong)
    with pytest.warns(UserWarning, match="kernels of attention differ in the output by 0.01"):
        assert torch.equal(attend_in_groups(qkv, [bias[None]], counts), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(attend_in_groups(qkv, [bias[None]], counts), expected)
        attend_in_groups(*make(2, 1, 16, [(1, 6)])[:1], [torch.randn(1, 1, 1, 6, 6)], [1])


def test_a_wrong_gradient_or_a_failure_is_found(monkeypatch):
    blocks = AttentionBlocks(5, 16, torch.float32)
    assert find_difference(blocks, CPU, 2, True) == ""
    backward = attention_op._backward
    monkeypatch.setattr(attention_op, "_backward", lambda *args: backward(*args) * 0.5)
    assert find_difference(blocks, CPU, 2, False).startswith("differ in the gradient of the bias")
    monkeypatch.setattr(attention_op, "_backward", lambda *args: 1 / 0)
    assert find_difference(blocks, CPU, 2, False) == (
        "failed (ZeroDivisionError: division by zero)"
    )
