import pytest
import torch
import torch.nn.functional as F
from gpu_model import AttentionOfGpus, CudaAutocast, choose_backend, simulated_gpu
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

CUDNN, FLASH = SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION
EFFICIENT, MATH = SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH


def tokens(dim=32, dtype=torch.bfloat16, n=49):
    return [torch.empty(2, 4, n, dim, dtype=dtype, device="meta") for _ in range(3)]


def bias(learns=False, dtype=torch.bfloat16):
    return torch.empty(1, 4, 49, 49, dtype=dtype, device="meta", requires_grad=learns)


@pytest.mark.parametrize(
    ("inputs", "mask", "capability", "expected"),
    [
        (tokens(), None, 9, CUDNN),
        (tokens(), None, 8, FLASH),
        (tokens(dim=12), None, 8, FLASH),
        (tokens(), bias(), 9, CUDNN),
        (tokens(), bias(), 8, EFFICIENT),
        (tokens(), bias(learns=True), 9, EFFICIENT),
        (tokens(), bias().mT, 9, MATH),
        (tokens(dim=12), bias(learns=True), 9, MATH),
        (tokens(dtype=torch.float32), None, 9, EFFICIENT),
        (tokens(dtype=torch.float64), None, 9, MATH),
    ],
)
def test_the_kernel_follows_pytorch_rules(inputs, mask, capability, expected):
    backend, reason = choose_backend(*inputs, mask, capability=capability)
    assert backend == expected
    assert bool(reason) == (expected == MATH)


@pytest.mark.parametrize("warn_only", [False, True])
def test_deterministic_mode_excludes_cudnn(warn_only):
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        found = choose_backend(*tokens(), bias())[0]
    finally:
        torch.use_deterministic_algorithms(False)
    assert found == (CUDNN if warn_only else EFFICIENT)


def test_the_reason_for_the_math_path_names_the_stride():
    assert choose_backend(*tokens(), bias().mT)[1] == "the last stride of the mask is 49, not 1"


def test_disabled_kernels_are_not_chosen():
    with sdpa_kernel([FLASH, MATH]):
        assert choose_backend(*tokens())[0] == FLASH
        assert choose_backend(*tokens(), bias(learns=True))[0] == MATH


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (None, CUDNN),
        (torch.empty(1, 1, 49, 49, dtype=torch.bool, device="meta"), CUDNN),
        (bias(learns=True, dtype=torch.float32), EFFICIENT),
        (bias(learns=True, dtype=torch.float32).mT, MATH),
    ],
)
def test_attention_runs_and_has_gradients_with_each_kernel(mask, expected):
    inputs = [x.float().requires_grad_() for x in tokens()]
    with simulated_gpu() as gpu, gpu.autocast.region(torch.bfloat16):
        output = F.scaled_dot_product_attention(*inputs, attn_mask=mask)
        output.float().sum().backward()
    assert [call[0] for call in gpu.attention.calls] == [expected]
    assert output.shape == inputs[0].shape
    assert output.dtype == torch.bfloat16
    assert all(x.grad is not None and x.grad.shape == x.shape for x in inputs)
    names = {operation.name for operation in gpu.trace.operations}
    assert (expected == MATH) == ("bmm" in names)


def test_multi_head_attention_of_pytorch_is_redirected():
    layer = nn.MultiheadAttention(32, 2, batch_first=True).to("meta")
    x = torch.empty(2, 5, 32, device="meta")
    autocast = CudaAutocast(torch.bfloat16)
    with autocast, AttentionOfGpus(autocast) as attention:
        layer(x, x, x, need_weights=False)
    assert [call[0] for call in attention.calls] == [CUDNN]


def test_attention_on_the_cpu_is_that_of_pytorch():
    inputs = [torch.randn(1, 2, 5, 8) for _ in range(3)]
    expected = F.scaled_dot_product_attention(*inputs)
    with simulated_gpu() as gpu:
        assert torch.equal(F.scaled_dot_product_attention(*inputs), expected)
    assert gpu.attention.calls == []
