"""The comparison on PyTorch's attention; interpreted_attention.py compares the kernels."""

import pytest
import torch

from mim_plugins.layers import AttentionBlocks, attend_with_pytorch, kernel_check
from mim_plugins.layers.kernel_check import find_difference

CPU = torch.device("cpu")
BLOCKS = AttentionBlocks(5, 16, torch.float32)


@pytest.fixture
def replace(monkeypatch):
    """Return a function that replaces the kernels by PyTorch's attention, with a changed output."""

    def replace(change):
        def attention(qkv, biases, counts, mask):
            biases = [bias[None] for bias in biases]
            mask = None if mask is None else mask[None]
            return change(attend_with_pytorch(qkv, biases, counts, mask)), None

        monkeypatch.setattr(kernel_check, "biased_attention", attention)

    return replace


@pytest.mark.parametrize("has_mask", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equal_attention_has_no_difference(replace, has_mask, dtype):
    replace(lambda output: output)
    assert find_difference(AttentionBlocks(5, 16, dtype), CPU, 2, has_mask) == ""


def test_a_single_token_is_compared_on_gradients_that_exist(replace):
    replace(lambda output: output)
    assert find_difference(AttentionBlocks(1, 16, torch.float32), CPU, 1, False) == ""


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda output: output * 1.01, "differ in the output by 0.01 of its largest value"),
        (lambda output: output * torch.nan, "differ in the output by nan"),
        (lambda output: output.detach() + 0 * output, "differ in the gradient of queries"),
        (lambda output: output.cuda_kernel, "failed (AttributeError: 'Tensor' object has no"),
    ],
)
def test_differences_and_failures_are_described(replace, change, difference):
    replace(change)
    assert find_difference(BLOCKS, CPU, 2, True).startswith(difference)


def test_modes_of_the_caller_do_not_matter(replace):
    replace(lambda output: output)
    with torch.no_grad(), torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
        assert find_difference(BLOCKS, CPU, 2, True) == ""
