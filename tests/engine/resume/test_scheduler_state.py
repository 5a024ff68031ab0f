import io
import threading
from functools import partial

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR, _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from mim_plugins.checkpoints import check_training_state
from mim_plugins.engine.resume.scheduler_state import plain_scheduler_state
from mim_plugins.errors import ConfigError


class Scaled(_ParamScheduler):
    """Scheduler that multiplies the learning rates by the value of a function."""

    def __init__(self, optimizer, factor):
        self.factor = factor
        super().__init__(optimizer, "lr")

    def _get_value(self):
        return [value * self.factor(self.last_step) for value in self.base_values]


@pytest.fixture
def optimizer():
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)


@pytest.mark.parametrize("build", [lambda o: LinearLR(o, end=4), lambda o: CosineAnnealingLR(o, 9)])
def test_schedulers_of_mmengine_keep_their_state(optimizer, build):
    scheduler = build(optimizer)
    optimizer.step()
    scheduler.step()
    assert plain_scheduler_state(scheduler) == scheduler.state_dict()


def arguments_of(kind, number):
    """Return arguments with which a scheduler of MMEngine or of this package can be built."""
    given = dict(
        ConstantLR=dict(factor=0.5),
        CosineAnnealingLR=dict(T_max=number),
        CosineRestartLR=dict(periods=[number, 2 * number], restart_weights=[1, 0.5], eta_min=0),
        ExponentialLR=dict(gamma=0.9),
        MultiStepLR=dict(milestones=[2, number]),
        OneCycleLR=dict(eta_max=number, total_steps=9),
        PolyLR=dict(power=number),
        ReduceOnPlateauLR=dict(patience=number, monitor="loss"),
        StepLR=dict(step_size=number),
    )
    ends = {} if kind == "CosineRestartLR" else dict(begin=number - 3, end=number + 6)
    return ends | given.get(kind, {})


KINDS = sorted(name for name in PARAM_SCHEDULERS.module_dict if name.endswith("LR"))


@pytest.mark.parametrize("number", [3, 4, 3.0, 3.5, 3.6])
@pytest.mark.parametrize("epoch_length", [None, 5])
@pytest.mark.parametrize("kind", [*KINDS, "mim_plugins.LinearWarmupLR"])
def test_states_of_integers_and_floats_can_be_resumed(
    optimizer, tmp_path, kind, epoch_length, number
):
    cfg = dict(type=kind, **arguments_of(kind, number))
    if epoch_length and kind != "ReduceOnPlateauLR":
        cfg |= dict(convert_to_iter_based=True)
    scheduler = PARAM_SCHEDULERS.build(
        cfg, default_args=dict(optimizer=optimizer, epoch_length=epoch_length)
    )
    optimizer.step()
    for _ in range(3):
        scheduler.step(*[dict(loss=1.0)][: kind == "ReduceOnPlateauLR"])
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    content = dict(meta=dict(epoch=3, iter=3), state_dict={}, message_hub=hub)
    content |= dict(
        optimizer=optimizer.state_dict(), param_schedulers=[plain_scheduler_state(scheduler)]
    )
    torch.save(content, tmp_path / "x.pth")
    loaded = torch.load(tmp_path / "x.pth", weights_only=True)
    check_training_state(loaded, "x")
    assert loaded == content


def test_functions_become_texts_that_torch_loads_safely(optimizer):
    factors = {"abs": abs, "partial": partial(pow, 2), "<lambda>": lambda step: 1.0}
    for name, factor in factors.items():
        state = plain_scheduler_state(Scaled(optimizer, factor))
        file = io.BytesIO()
        torch.save(state, file)
        file.seek(0)
        assert torch.load(file, weights_only=True) == state
        assert name in state["factor"]


def test_objects_that_cannot_be_stored_are_refused(optimizer):
    scheduler = Scaled(optimizer, abs)
    scheduler.guard = [threading.Lock()]
    with pytest.raises(ConfigError, match=r"param_scheduler: Scaled contains .*lock.*functions"):
        plain_scheduler_state(scheduler)
