import pytest
from gpu_model import GPUS, GpuRates, Operation

RATES = GpuRates(
    bandwidth=10.0, matmul=100.0, matmul_float32=20.0, attention_forward=50.0,
    attention_backward=25.0, peak=200.0, launch=0.5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "launches", "size", "flops", "is_float32", "seconds"),
    [
        ("add", 1, 40, 0, True, 4.0),
        ("mm", 1, 1, 1000, False, 10.0),
        ("mm", 1, 1, 1000, True, 50.0),
        ("add", 8, 1, 0, False, 4.0),
        ("_scaled_dot_product_flash_attention", 1, 1, 1000, True, 20.0),
        ("_scaled_dot_product_flash_attention_backward", 1, 1, 1000, False, 40.0),
    ],
)
def test_the_slowest_resource_determines_the_time(name, launches, size, flops, is_float32, seconds):
    operation = Operation("forward", name, launches, size, flops, is_float32)
    assert RATES.seconds(operation) == seconds


def test_no_gpu_is_assumed_to_reach_its_data_sheet():
    for rates in GPUS.values():
        assert rates.matmul_float32 < rates.matmul < rates.peak
        assert rates.attention_backward < rates.attention_forward < rates.matmul
