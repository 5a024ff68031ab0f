import io
import threading
from functools import partial

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR, _ParamScheduler
from torch import nn

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
