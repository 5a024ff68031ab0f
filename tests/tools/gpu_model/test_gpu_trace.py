import pytest
import torch
from gpu_model import GpuTrace
from torch import nn


@pytest.fixture
def trace():
    with GpuTrace() as trace:
        yield trace


def images():
    return torch.empty(4, 3, 8, 8, device="meta")


def test_launches_bytes_and_flops_of_a_product_are_counted(trace):
    torch.empty(2, 3, device="meta") @ torch.empty(3, 5, device="meta")
    (product,) = trace.operations
    assert (product.name, product.launches, product.flops) == ("mm", 1, 2 * 2 * 3 * 5)
    assert product.bytes == 4 * (2 * 3 + 3 * 5 + 2 * 5)


def test_views_cost_nothing_and_expanded_dimensions_count_once(trace):
    x = torch.empty(3, 1, device="meta").expand(3, 100).T[None].detach()
    assert trace.operations == []
    x.sum()
    assert trace.operations[0].bytes == 4 * 3 + 4


def test_changes_in_place_are_read_and_written(trace):
    weights = [torch.empty(10, device="meta") for _ in range(40)]
    torch._foreach_mul_(weights, 2.0)
    (operation,) = trace.operations
    assert operation.bytes == 2 * 4 * 10 * 40
    assert operation.launches == 2  # a kernel takes at most 36 tensors


@pytest.mark.parametrize(
    ("wait", "cause"),
    [
        (lambda x: x.sum().item(), "item"),
        (lambda x: bool(x.sum() > 0), "item"),
        (lambda x: x.cpu(), "blocking copy"),
        (lambda x: torch.zeros(3).to("meta"), "blocking copy"),
        (lambda x: x.copy_(torch.zeros(8)), "blocking copy"),
        (lambda x: x[:, [2, 1, 0]], "such as a list"),
        (lambda x: x[torch.tensor([0, 2])], "such as a list"),
        (lambda x: x.to("cpu", non_blocking=True), "read later"),
    ],
)
def test_each_wait_of_the_host_is_recorded(trace, wait, cause):
    wait(images())
    assert [cause in found for _, found in trace.waits] == [True]


@pytest.mark.parametrize(
    "work",
    [
        lambda x: torch.zeros(3).to("meta", non_blocking=True),
        lambda x: x.flip(1)[x.flatten(1).argsort(dim=1)[:, :2]],
        lambda x: torch.zeros(3).sum().item(),
    ],
)
def test_work_that_needs_no_wait_is_not_recorded(trace, work):
    work(images().long())
    assert trace.waits == []


def test_peak_memory_includes_what_was_freed(trace):
    kept = torch.empty(100, device="meta")
    freed = kept.exp()
    assert trace.live_bytes == 2 * 400
    del freed
    assert (trace.live_bytes, trace.peak_bytes) == (400, 800)


def test_a_model_on_the_cpu_is_unchanged_by_the_trace(trace):
    layer, x = nn.Linear(4, 4), torch.randn(2, 4)
    assert torch.equal(layer(x), x @ layer.weight.T + layer.bias)
    assert trace.operations == []
