"""Attention with a learned bias equals that of PyTorch; its kernel is used where it is faster."""

import pytest
import torch
import torch.nn.functional as F

from mim_plugins.layers import WindowAttention, attend, transformer
from mim_plugins.layers.transformer import uses_cpu_kernel


def inputs(biases=1, dtype=torch.float64):
    qkv = torch.randn(3, 2, 4, 5, 3, dtype=dtype)
    return qkv, torch.randn(biases, 4, 5, 5, dtype=dtype)


def with_gradients(function, qkv, bias, weight):
    qkv, bias = qkv.clone().requires_grad_(), bias.clone().requires_grad_()
    output = function(qkv, bias)
    (output * weight).sum().backward()
    return output, qkv.grad, bias.grad


def reference(qkv, bias):
    return F.scaled_dot_product_attention(*qkv, attn_mask=bias)


@pytest.mark.parametrize("biases", [1, 2])
@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["f64", "f32"]
)
def test_values_and_gradients_equal_those_of_pytorch(biases, forbidden, dtype, tolerance):
    qkv, bias = inputs(biases, dtype)
    if forbidden:
        bias[..., 0, 1:] = float("-inf")  # this token attends only to itself
        bias[:, 1, 2:4, 0] = float("-inf")
    weight = torch.randn(2, 4, 5, 3, dtype=dtype)
    found = with_gradients(attend, qkv, bias, weight)
    for ours, theirs in zip(found, with_gradients(reference, qkv, bias, weight), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_gradients_equal_finite_differences():
    qkv, bias = inputs()
    assert torch.autograd.gradcheck(attend, (qkv.requires_grad_(), bias.requires_grad_()))


def test_inputs_may_be_strided_and_are_not_changed():
    qkv, bias = inputs()
    strided = torch.randn(4, 5, 2, 3, 3, dtype=torch.float64).permute(3, 2, 0, 1, 4)
    strided.copy_(qkv)
    turned = bias.mT.contiguous().mT
    weight = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    plain = with_gradients(attend, qkv, bias, weight)

    output = attend(strided.requires_grad_(), turned.requires_grad_())
    (output * weight).sum().backward()

    assert torch.equal(strided, qkv)
    assert torch.equal(turned, bias)
    for found, expected in zip((output, strided.grad, turned.grad), plain, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("change", "fast"),
    [
        (dict(), True),
        (dict(bias_learns=False), False),
        (dict(attn_drop=0.5), False),
        (dict(attn_drop=0.5, training=False), True),
        (dict(dtype=torch.bfloat16), False),
        (dict(grad=False), False),
    ],
)
def test_it_is_used_where_the_bias_needs_a_gradient(monkeypatch, change, fast):
    calls, pytorch = [], F.scaled_dot_product_attention

    def count(*inputs, **options):
        calls.append(inputs)
        return pytorch(*inputs, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", count)
    attention = WindowAttention(8, 3, 2, attn_drop=change.get("attn_drop", 0.0))
    attention.train(change.get("training", True)).to(change.get("dtype", torch.float32))
    attention.relative_position_bias_table.requires_grad_(change.get("bias_learns", True))
    x = torch.randn(1, 2, 9, 8, dtype=change.get("dtype", torch.float32))

    with torch.set_grad_enabled(change.get("grad", True)):
        attention(x, (3, 3))

    assert bool(calls) is not fast


def test_both_kernels_of_window_attention_are_equal(monkeypatch):
    attention = WindowAttention(8, 3, 2)
    torch.nn.init.normal_(attention.relative_position_bias_table)
    x = torch.randn(2, 2, 9, 8)

    def run():
        attention.zero_grad()
        output = attention(x, (3, 3))
        output.square().sum().backward()
        return [output, *(p.grad.clone() for p in attention.parameters())]

    fast = run()
    monkeypatch.setattr(transformer, "uses_cpu_kernel", lambda _: False)
    for found, expected in zip(fast, run(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_pytorch_attention_is_used_where_it_is_faster(monkeypatch):
    assert uses_cpu_kernel(torch.empty(0))
    assert not uses_cpu_kernel(torch.empty(0, device="meta"))
    assert not uses_cpu_kernel(torch.empty(0, dtype=torch.bfloat16))
    assert not uses_cpu_kernel(torch.empty(0, dtype=torch.float16))
    for recorder, name in ((torch.jit, "is_tracing"), (torch.compiler, "is_compiling")):
        with monkeypatch.context() as patch:
            patch.setattr(recorder, name, lambda: True)
            assert not uses_cpu_kernel(torch.empty(0))
