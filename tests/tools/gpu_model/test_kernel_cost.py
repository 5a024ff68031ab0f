import pytest
import torch
from gpu_model import simulated_gpu

from mim_plugins.layers import attend_in_groups


def recorded(blocks, channels=32, images=64, masked=False):
    """Operations of forward and backward pass by name."""
    with simulated_gpu() as gpu:
        length = sum(count * tokens for count, tokens in blocks)
        qkv = torch.empty(images, length, 3, 2, channels, dtype=torch.bfloat16, device="meta")
        biases = [torch.empty(1, c, 2, n, n, device="meta").requires_grad_() for c, n in blocks]
        output = attend_in_groups(qkv.requires_grad_(), biases, [count for count, _ in blocks])
        output.backward(torch.empty_like(output))
    return {x.name: x for x in gpu.trace.operations if "biased_attention" in x.name}


@pytest.mark.parametrize(
    ("blocks", "forward", "backward", "repeated"),
    [([(2, 25)], 2, 4, 0.0), ([(1, 100), (1, 96)], 4, 8, 0.0), ([(1, 196)], 2, 7, 0.8)],
)
def test_launches_and_repeated_products_follow_the_kernels(
    blocks, forward, backward, repeated, monkeypatch
):
    monkeypatch.setenv("MIM_PLUGINS_ATTENTION", "triton")
    found = recorded(blocks)
    assert found["biased_attention"].launches == forward
    operation = found["biased_attention_backward"]
    assert operation.launches == backward
    assert operation.repeated_flops == pytest.approx(repeated * operation.flops)


def test_no_bytes_of_a_bias_per_image_are_moved():
    small, large = (recorded([(1, 100)], images=images) for images in (2048, 4096))
    operation = "biased_attention_backward"
    vectors = 2048 * 100 * 2 * (8 * 32 * 2 + 4)  # qkv, output, and gradients of both, and a sum
    assert large[operation].bytes - small[operation].bytes == vectors
