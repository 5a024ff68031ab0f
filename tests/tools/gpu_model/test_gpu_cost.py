from dataclasses import replace

import pytest
import torch
from gpu_model import GPUS, PHASES
from tiny_cost import cost
from tiny_run import MRMAE


@pytest.fixture(scope="module")
def mixmae():
    return cost()


def test_all_parts_of_a_step_are_counted(mixmae):
    for phase in PHASES:
        assert mixmae.launches(phase) > 0
        assert mixmae.bytes(phase) > 0
    assert mixmae.flops("backward") > mixmae.flops("forward") > mixmae.flops("optimizer") == 0
    assert mixmae.launches() == sum(map(mixmae.launches, PHASES))


def test_only_flops_grow_with_the_batch_not_launches(mixmae):
    double = cost(batch=16)
    assert double.launches() == mixmae.launches()
    assert double.flops() == pytest.approx(2 * mixmae.flops(), rel=1e-3)
    assert mixmae.bytes() < double.bytes() < 2 * mixmae.bytes()
    assert mixmae.kept_bytes < double.kept_bytes < 2 * mixmae.kept_bytes


def test_autocast_halves_less_than_everything(mixmae):
    full = cost(dtype=torch.float32)
    assert full.flops() == mixmae.flops()
    assert 0.5 < mixmae.kept_bytes / full.kept_bytes < 1


def test_checkpointing_keeps_less_and_computes_more(mixmae):
    checkpointed = cost(**{"backbone.with_cp": True})
    assert checkpointed.kept_bytes < mixmae.kept_bytes
    assert checkpointed.flops() > mixmae.flops()
    assert checkpointed.flops("forward") == mixmae.flops("forward")


def test_fused_optimizers_move_less(mixmae):
    listed = cost(optimizer=dict(fused=None))
    assert listed.launches("optimizer") > mixmae.launches("optimizer")
    assert listed.bytes("optimizer") > mixmae.bytes("optimizer")


def test_the_peak_contains_weights_moments_and_gradients(mixmae):
    assert mixmae.peak_bytes > mixmae.kept_bytes
    empty = cost(batch=2)
    parameters = empty.bytes("optimizer") // 7  # AdamW reads 4 tensors and writes 3
    assert empty.peak_bytes > 4 * parameters


def test_models_of_this_package_never_wait_for_the_gpu(mixmae):
    assert mixmae.waits == []
    assert cost(MRMAE).waits == []


def test_times_follow_from_the_rates(mixmae):
    rates = GPUS["H200"]
    assert mixmae.seconds(rates) >= mixmae.launches() * rates.launch
    slow = replace(rates, launch=0.0, bandwidth=1.0, matmul=1e30, matmul_float32=1e30,
                   attention_forward=1e30, attention_backward=1e30)  # fmt: skip
    assert mixmae.seconds(slow) == pytest.approx(mixmae.bytes())
    assert 0 < mixmae.mfu(rates) < 1
