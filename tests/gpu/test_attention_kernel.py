"""The Triton kernels of attention agree with PyTorch's on the GPU; their times are recorded."""

from statistics import median

import pytest
import torch

from mim_plugins.layers import AttentionBlocks, attend_in_groups, attend_with_pytorch
from mim_plugins.layers.kernel_check import find_difference
from mim_plugins.layers.kernel_choice import uses_kernels

pytestmark = pytest.mark.gpu

# heads, (groups, tokens) per block, mask: the stages of Swin-B
STAGES = {
    "stage 1": (4, [(16, 196)], True),
    "stage 2": (8, [(4, 196)], True),
    "stage 3": (16, [(1, 96), (1, 100)], False),
    "stage 4": (32, [(1, 24), (1, 25)], False),
    "stage 3 of fine-tuning": (16, [(1, 196)], False),
}


@pytest.fixture(autouse=True)
def _all_sizes(monkeypatch):
    monkeypatch.setenv("MIM_PLUGINS_ATTENTION", "triton")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize(
    ("heads", "channels", "tokens", "has_mask"),
    [(4, 32, 196, True), (16, 32, 100, False), (32, 32, 25, False), (3, 32, 49, True),
     (2, 16, 130, False), (2, 64, 49, False), (2, 128, 60, True)],
)  # fmt: skip
def test_kernels_agree_with_pytorch(cuda, heads, channels, tokens, has_mask, dtype):
    blocks = AttentionBlocks(tokens, channels, dtype)
    assert find_difference(blocks, torch.device(cuda), heads, has_mask) == ""


def inputs(device, stage, images):
    heads, groups, has_mask = STAGES[stage]
    length = sum(count * tokens for count, tokens in groups)
    qkv = torch.randn(images, length, 3, heads, 32, device=device, dtype=torch.bfloat16)
    biases, mask = [], None
    for count, tokens in groups:
        shape = 1, 1 if has_mask else count, heads, tokens, tokens
        biases.append(torch.randn(shape, device=device).requires_grad_())
        if has_mask:
            side = torch.rand(1, count, tokens, device=device) < 0.5
            mask = torch.zeros(1, count, tokens, tokens, device=device)
            mask.masked_fill_(side[..., :, None] != side[..., None, :], -torch.inf)
    return qkv.requires_grad_(), biases, [count for count, _ in groups], mask


def gradients(attend, qkv, biases, counts, mask):
    output = attend(qkv, biases, counts, mask)
    return output, *torch.autograd.grad(output.float().square().sum(), [qkv, *biases])


@pytest.mark.parametrize("stage", STAGES)
def test_sums_over_many_images_agree_and_are_deterministic(cuda, stage):
    args = inputs(cuda, stage, 40)
    assert uses_kernels(args[0], args[1], args[3])
    found = gradients(attend_in_groups, *args)
    again = gradients(attend_in_groups, *args)
    assert all(torch.equal(x, y) for x, y in zip(found, again, strict=True))
    for ours, theirs in zip(found, gradients(attend_with_pytorch, *args), strict=True):
        assert (ours - theirs).abs().max() <= 0.05 * theirs.abs().max()


def milliseconds(attend, args):
    for _ in range(3):
        gradients(attend, *args)
    times = []
    for _ in range(10):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        gradients(attend, *args)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return median(times)


@pytest.mark.parametrize("stage", STAGES)
def test_times_are_recorded(cuda, record_property, stage):
    args = inputs(cuda, stage, 256)
    torch.cuda.reset_peak_memory_stats()
    own = milliseconds(attend_in_groups, args)
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    reference = milliseconds(attend_with_pytorch, args)
    figures = f"{own:.2f} ms and {peak / 1e9:.2f} GB peak with Triton, {reference:.2f} ms and"
    figures += f" {torch.cuda.max_memory_allocated() / 1e9:.2f} GB with PyTorch"
    record_property("measured", f"attention of {stage}, 256 images, bfloat16: {figures}")
    assert own > 0
