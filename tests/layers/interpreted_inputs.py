"""Unusual inputs in Triton's interpreter; test_attention_kernel.py runs this file."""

import pytest
import torch
from interpreted_attention import assert_close, make

from mim_plugins.layers import attend_with_pytorch
from mim_plugins.layers.attention_op import biased_attention


@pytest.mark.parametrize(
    "change",
    [dict(counts=[1]), dict(counts=[3]), dict(counts=[2, 2]), dict(mask=torch.zeros(1, 5, 5)),
     dict(bias=torch.zeros(2, 2, 5, 5)), dict(bias=torch.zeros(3, 1, 5, 5)),
     dict(qkv=torch.zeros(2, 10, 3, 1, 16).double()), dict(qkv=torch.zeros(2, 10, 2, 1, 16)),
     dict(qkv=torch.zeros(2, 10, 3, 1, 129))],
)  # fmt: skip
def test_shapes_that_do_not_match_are_errors(change):
    qkv, (bias,), counts, mask = make(2, 1, 16, [(2, 5)])
    args = dict(qkv=qkv, bias=bias, counts=counts, mask=mask) | change
    with pytest.raises(ValueError, match=r"biased_attention: torch\.float"):
        biased_attention(args["qkv"], [args["bias"]], args["counts"], args["mask"])


def test_second_derivatives_and_those_of_lse_are_errors():
    qkv, biases, counts, _ = make(2, 1, 16, [(2, 5)])
    output, lse = biased_attention(qkv, biases, counts, None)
    with pytest.raises(NotImplementedError, match="only the first output"):
        (output.sum() + lse.sum()).backward()
    output, _ = biased_attention(qkv, biases, counts, None)
    (grad,) = torch.autograd.grad(output.square().sum(), qkv, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        grad.sum().backward()


def test_any_strides_and_missing_gradients_are_allowed():
    qkv, biases, counts, _ = make(2, 1, 16, [(2, 5)])
    spread = qkv.detach().permute(4, 3, 2, 1, 0).contiguous().permute(4, 3, 2, 1, 0)
    for x, bias in ((spread, biases), (spread.requires_grad_(), [b.detach() for b in biases])):
        wanted = [each for each in (x, *bias) if each.requires_grad]
        outputs = (
            biased_attention(x, bias, counts, None)[0],
            attend_with_pytorch(x, [b[None] for b in bias], counts),
        )
        found, expected = (torch.autograd.grad(y.square().sum(), wanted) for y in outputs)
        assert_close(found, expected)


def test_empty_groups_and_batches_are_allowed():
    qkv, biases, counts, _ = make(2, 1, 16, [(2, 3)])
    empty = [torch.randn(1, 1, 4, 4, requires_grad=True), torch.randn(1, 1, 0, 0)]
    output, _ = biased_attention(qkv, [*biases, *empty], [*counts, 0, 1], None)
    output.sum().backward()
    assert torch.equal(output, biased_attention(qkv, biases, counts, None)[0])
    assert torch.equal(empty[0].grad, torch.zeros(1, 1, 4, 4))
    output, _ = biased_attention(qkv[:0], biases, counts, None)
    assert torch.autograd.grad(output.sum(), biases)[0].count_nonzero() == 0


def test_queries_without_keys_give_zeros():
    qkv, biases, counts, mask = make(2, 1, 16, [(1, 5)], masked=True)
    mask[:, 2] = -torch.inf
    output, _ = biased_attention(qkv, biases, counts, mask)
    grads = torch.autograd.grad(output.sum(), [qkv, *biases])
    assert torch.equal(output[:, 2], torch.zeros(2, 1, 16))
    assert all(torch.isfinite(x).all() for x in grads)
