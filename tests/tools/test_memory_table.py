"""Arithmetic of tools/analysis_tools/memory_table.py, on a small encoder."""

import importlib.util
import weakref

import pytest
import torch
from tool_runs import TOOLS, run_tool

ARCH = dict(embed_dims=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8))
TOOL = "analysis_tools/memory_table.py"
spec = importlib.util.spec_from_file_location(
    "training_memory", TOOLS / "analysis_tools/training_memory.py"
)
table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(table)


@pytest.fixture(scope="module")
def plain():
    return table.activations(ARCH, False, torch.float32)


def test_parameters_and_memory_of_a_larger_batch_are_predicted(plain):
    model = table.build(ARCH, False)
    assert table.parameters(ARCH) == sum(p.numel() for p in model.parameters() if p.requires_grad)
    six, _ = table.saved_bytes(model, 6, torch.float32)
    assert six == pytest.approx(6 * plain.per_image + plain.fixed, rel=1e-3)


def test_checkpointing_and_low_precision_save_less(plain):
    checkpointed = table.activations(ARCH, True, torch.float32)
    low = table.activations(ARCH, False, torch.bfloat16)
    assert checkpointed.per_image < plain.per_image
    assert low.per_image < plain.per_image
    assert 0 < plain.block < plain.per_image
    assert low.fixed > plain.fixed  # copies of the weights


def test_weights_are_not_counted_as_activations():
    layer = torch.nn.Linear(1000, 1000)
    inputs = torch.zeros(1, 1000, requires_grad=True)
    with table.saved_for_backward(layer.parameters()) as saved:
        layer(inputs)
    assert table.total(saved) == 4 * 1000


def test_counting_releases_all_memory():
    inputs = torch.zeros(3, requires_grad=True)
    with table.saved_for_backward([]) as saved:
        output = inputs.sigmoid()  # an operation that saves its output
    assert table.total(saved) == 4 * 3
    output.grad_fn.metadata["lives with the node"] = marker = torch.nn.Identity()
    alive = weakref.ref(marker)
    del output, saved, marker
    assert alive() is None


def test_storages_saved_twice_count_once():
    layer = torch.nn.Linear(4, 4)
    inputs = torch.zeros(2, 4, requires_grad=True)
    with table.saved_for_backward(layer.parameters()) as saved:
        _ = layer(inputs) + layer(inputs[:1])
    assert table.total(saved) == 4 * 2 * 4


@pytest.mark.parametrize(("shards", "expected"), [(1, 42), (2, 46)])
def test_largest_batch_fits_the_memory(shards, expected):
    # 100 bytes: 10 in reserve; 1 weight: 4 + 4 + 8 bytes, the last 8 shared
    saved = table.Activations(per_image=1.5, fixed=9.0, block=0.5)
    assert table.images_that_fit(100, 1, saved, False, shards) == expected
    assert table.images_that_fit(100, 1, saved, True, shards) < expected
    assert table.images_that_fit(25, 1, saved, False, shards) == 0


def test_fsdp2_shards_all_state_but_that_of_the_gathered_blocks():
    count = table.parameters(ARCH)
    one, many = table.sharded_state(ARCH, 1), table.sharded_state(ARCH, 10**9)
    assert one - many == pytest.approx(16 * count, rel=1e-6)
    assert 0 < many < 16 * count


def test_invalid_values_exit_with_one_line():
    assert "--gpus 0 must" in run_tool(TOOL, "--gpus", 0, code=2).stderr
    assert "arch='nix'" in run_tool(TOOL, "--archs", "nix", code=1).stderr
