import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from mim_plugins.analysis import profile_attention


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_the_calls_of_each_kernel_are_counted(backend):
    query = torch.randn(2, 2, 8, 16, requires_grad=True)

    def program():
        for _ in range(3):
            scaled_dot_product_attention(query, query, query).sum().backward()

    with sdpa_kernel(backend):
        assert profile_attention(program).calls == {backend: 3}


def test_a_program_without_attention_has_no_kernels():
    assert profile_attention(lambda: torch.ones(2) @ torch.ones(2)) == ({}, [])
