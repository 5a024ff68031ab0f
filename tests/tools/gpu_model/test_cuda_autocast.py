import pytest
import torch
import torch.nn.functional as F
from gpu_model import CudaAutocast
from torch import nn

HALF, FULL = torch.bfloat16, torch.float32


def meta(dtype=FULL):
    return torch.empty(2, 4, 4, dtype=dtype, device="meta")


@pytest.mark.parametrize(
    ("function", "given", "expected"),
    [
        (lambda x: F.linear(x, meta(FULL)[0]), FULL, HALF),
        (lambda x: x @ meta(FULL), FULL, HALF),
        (lambda x: F.conv1d(x, meta(FULL)), HALF, HALF),
        (lambda x: F.layer_norm(x, (4,)), HALF, FULL),
        (lambda x: x.softmax(-1), HALF, FULL),
        (lambda x: x.sum(), HALF, FULL),
        (lambda x: x**2, HALF, FULL),
        (lambda x: F.mse_loss(x, meta(HALF)), HALF, FULL),
        (lambda x: F.gelu(x), HALF, HALF),
        (lambda x: x.mean(), HALF, HALF),
        (lambda x: x + meta(FULL), HALF, FULL),
        (lambda x: torch.cat([x, meta(FULL)]), HALF, FULL),
        (lambda x: torch.cat([x, meta(HALF)]), HALF, HALF),
    ],
)
def test_types_are_those_of_autocast_on_cuda(function, given, expected):
    with CudaAutocast(HALF):
        assert function(meta(given)).dtype == expected


def test_types_of_linear_and_norm_agree_with_pytorch_on_the_cpu():
    layers = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4))
    with torch.autocast("cpu", HALF):
        expected = layers(torch.zeros(2, 4)).dtype
    with CudaAutocast(HALF):
        assert layers.to("meta")(torch.zeros(2, 4, device="meta")).dtype == expected


def test_tensors_on_the_cpu_are_not_cast():
    with CudaAutocast(HALF):
        assert (torch.zeros(2, 2) @ torch.zeros(2, 2)).dtype == FULL


def test_a_parameter_is_cast_once():
    autocast = CudaAutocast(HALF)
    weight = nn.Parameter(torch.empty(4, 4, device="meta"))
    with autocast:
        assert autocast.lower(weight) is autocast.lower(weight)
        assert autocast.lower(weight * 1) is not autocast.lower(weight * 1)


def test_a_region_of_torch_autocast_changes_the_precision():
    pytorch = torch.autocast
    with CudaAutocast(None):
        assert (meta() @ meta()).dtype == FULL
        with torch.autocast("meta", dtype=torch.float16):
            assert (meta() @ meta()).dtype == torch.float16
            with torch.autocast("meta", enabled=False):
                assert (meta() @ meta()).dtype == FULL
    assert torch.autocast is pytorch
