"""Steps in the cost model after torch.compile, on small models."""

import pytest
import torch
from gpu_model import CompiledModule, compile_for_cost, simulated_gpu
from tiny_cost import cost
from tiny_run import MRMAE
from torch import nn

from mim_plugins.errors import ConfigError


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.fc = nn.LayerNorm(32), nn.Linear(32, 32)

    def forward(self, x, scale=1.0, steps=()):
        return x + scale * self.fc(self.norm(x)).relu()


def run(calls, **arguments):
    """Operations of forward and backward passes of equal modules."""
    modules = [Mlp().to("meta") for _ in range(2)]
    graphs = {}
    with simulated_gpu() as gpu:
        for module in modules:
            module._compiled_call_impl = CompiledModule(module, gpu.trace, gpu.autocast, graphs)
        x = torch.empty(64, 32, device="meta", requires_grad=True)
        gpu.trace.reset()
        for module in modules[:calls]:
            x = module(x, **arguments)
        assert x.shape == (64, 32)
        assert x.requires_grad
        x.backward(torch.empty_like(x))
    assert all(p.grad is not None for module in modules[:calls] for p in module.parameters())
    return gpu.trace.operations, graphs


def test_the_kernels_of_both_directions_are_recorded():
    operations, _ = run(1)
    names = [x.name for x in operations]
    assert names.count("addmm") == 1
    assert names.count("mm") == 2
    assert sum(name.startswith("fused") for name in names) <= 6


def test_equal_modules_share_a_graph():
    once, _ = run(1)
    twice, graphs = run(2)
    assert len(graphs) == 1
    products = lambda operations: sum("mm" in x.name for x in operations)  # noqa: E731
    assert products(twice) == 2 * products(once)


def test_another_constant_is_another_graph():
    assert list(run(1, scale=2.0)[1]) != list(run(1, scale=3.0)[1])


@pytest.fixture(scope="module")
def costs():
    return {scope: cost(compiled=dict(scope=scope)) for scope in (None, "blocks", "model")}


def test_compiling_moves_and_launches_less_with_equal_arithmetic(costs):
    for scope in ("blocks", "model"):
        assert costs[scope].flops() == costs[None].flops()
        assert costs[scope].bytes() < costs[None].bytes()
        assert costs[scope].launches() < costs[None].launches()
        assert costs[scope].kept_bytes < costs[None].kept_bytes
        assert costs[scope].waits == []
        assert costs[scope].attention.total() > 0
    assert costs["model"].bytes() < costs["blocks"].bytes()


def test_a_compiled_model_with_a_teacher_runs():
    assert cost(MRMAE, compiled=dict(scope="model")).waits == []


def test_checkpointed_blocks_compute_the_forward_pass_again(costs):
    plain = costs["blocks"]
    checkpointed = cost(compiled=dict(scope="blocks"), **{"backbone.with_cp": True})
    assert checkpointed.flops("forward") == plain.flops("forward")
    assert checkpointed.flops("backward") > plain.flops("backward")
    assert checkpointed.kept_bytes < plain.kept_bytes


def test_a_memory_budget_keeps_less_and_moves_more():
    calm = {"backbone.drop_path_rate": 0.0}
    plain = cost(compiled=dict(scope="blocks"), **calm)
    saving = cost(compiled=dict(scope="blocks", memory_budget=0.5), **calm)
    assert saving.kept_bytes < 0.9 * plain.kept_bytes
    assert saving.bytes() > plain.bytes()


RANDOM = nn.ModuleDict(dict(blocks=nn.ModuleList([nn.Dropout(0.1)])))


@pytest.mark.parametrize(
    ("model", "scope", "budget", "message"),
    [
        (Mlp(), "blocks", 1.0, "Mlp has no list named 'blocks'"),
        (RANDOM, "model", 1.0, "scope='model' must be 'blocks', because the model is ModuleDict"),
        (RANDOM, "blocks", 0.9, r"memory_budget=0\.9 must be 1, because 'blocks\.0' is random"),
    ],
)
def test_other_models_are_compiled_as_in_training(model, scope, budget, message):
    with simulated_gpu() as gpu, pytest.raises(ConfigError, match=message):
        compile_for_cost(model, gpu.trace, gpu.autocast, scope, budget)
