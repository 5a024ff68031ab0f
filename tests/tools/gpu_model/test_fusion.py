"""Kernels of compiled graphs, counted by hand on small functions."""

import torch
import torch.nn.functional as F
from gpu_model import fuse
from torch.fx.experimental.proxy_tensor import make_fx

DECOMPOSITIONS = torch._decomp.get_decompositions([torch.ops.aten.native_layer_norm])
X = (64, 32)  # 2048 elements
SIZE = 4 * 64 * 32


def fused(function, *shapes, dtype=torch.float32):
    tensors = [torch.empty(shape, device="meta", dtype=dtype) for shape in shapes]
    return fuse(make_fx(function, decomposition_table=DECOMPOSITIONS)(*tensors).graph)


def kernels(function, *shapes):
    """Return launches and bytes of each kernel."""
    return [(x.launches, x.bytes) for x in fused(function, *shapes).operations]


def test_a_chain_of_elementwise_operations_is_one_kernel():
    assert kernels(lambda x, y: (x.sin() * y + 1).relu(), X, X) == [(1, 3 * SIZE)]


def test_both_results_of_one_input_share_a_kernel():
    assert kernels(lambda x: (x.sin(), x.cos()), X) == [(1, 3 * SIZE)]


def test_results_of_unrelated_inputs_do_not():
    assert kernels(lambda x, y: (x.sin(), y.cos()), X, X) == [(1, 2 * SIZE)] * 2


def test_a_layer_norm_reads_and_writes_once():
    found = kernels(lambda x, w, b: F.layer_norm(x, (32,), w, b), X, (32,), (32,))
    assert found == [(1, 2 * SIZE + 2 * 4 * 32)]


def test_a_matrix_product_separates_kernels():
    found = kernels(lambda x, w: (x.sin() @ w).cos(), X, (32, 32))
    assert found == [(1, 2 * SIZE + 4 * 32 * 32), (1, 2 * SIZE), (1, 2 * SIZE)]


def test_a_kernel_runs_not_both_before_and_after_a_product():
    # the residual is read twice, because the product needs the first kernel
    found = kernels(lambda x, w: x + F.layer_norm(x, (32,)) @ w, X, (32, 32))
    assert sorted(found) == sorted([(1, 2 * SIZE), (1, 2 * SIZE + 4 * 32 * 32), (1, 3 * SIZE)])


def test_sums_over_rows_and_columns_are_separate_if_small():
    rows, columns = kernels(lambda x: (x.sum(1), x.sum(0)), X)
    assert rows == (1, SIZE + 4 * 64)
    assert columns == (2, SIZE + 4 * 32)


def test_sums_over_rows_and_columns_share_a_kernel_if_large():
    shape = (2**14, 512)
    assert kernels(lambda x: (x.sum(1), x.sum(0)), shape) == [(2, 4 * (2**23 + 2**14 + 512))]
    chained = kernels(lambda x: (x - x.sum(1, keepdim=True)).exp().sum(0), shape)
    assert len(chained) == 2


def test_a_result_in_another_order_needs_a_kernel():
    def transposed(x):
        y = x.sin()
        return y, y.t().contiguous()

    assert len(kernels(transposed, X)) == 2
    # nothing is gained by writing first what only the transposed result needs
    assert kernels(lambda x: x.sin().t().contiguous(), X) == [(1, 2 * SIZE)]


def test_parts_of_a_tensor_are_read_once():
    assert kernels(lambda x: x[:, :8] + x[:, 8:16], X) == [(1, SIZE // 2 + SIZE // 4)]


def test_copies_that_change_nothing_cost_nothing():
    assert kernels(lambda x, w: x.clone() @ w, X, (32, 32)) == [(1, 2 * SIZE + 4 * 32 * 32)]


def test_only_results_between_kernels_are_temporary():
    assert fused(lambda x: x.sin().cos(), X).temporary_bytes == 0
    assert fused(lambda x, w: (x.sin() @ w).cos(), X, (32, 32)).temporary_bytes == 2 * SIZE


def test_long_expressions_that_two_kernels_need_are_written_once():
    def function(*tensors):
        total = sum(tensors[1:], tensors[0])
        return total.sin().sum(1), total.cos().sum(0)

    for count, reads in ((4, 4 + 4), (5, 5 + 1 + 1)):
        found = kernels(function, *[X] * count)
        assert sum(size for _, size in found) == reads * SIZE + 4 * (64 + 32)
