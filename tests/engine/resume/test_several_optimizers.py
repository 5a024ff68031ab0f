"""Comparison of a checkpoint with a run of several optimizers."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from optimizer_runs import Run, TwoLayers, checkpoint_of, optimizer_of, run
from tiny_run import toy_runner
from torch import nn

from mim_plugins.engine.resume.checkpoint_compatibility import (
    add_compatibility_meta,
    check_compatible,
)
from mim_plugins.errors import CheckpointError


def of_two(first, second):
    model = TwoLayers()
    parts = (model.second, nn.ParameterList([model.weight]))
    wrappers = (optimizer_of(kind, part) for kind, part in zip((first, second), parts, strict=True))
    return Run(model, OptimWrapperDict(**dict(zip("ab", wrappers, strict=True))))


def test_multiple_optimizers_are_compared_by_name():
    def saved(run):
        content = dict(state_dict=run.model.state_dict(), meta={})
        add_compatibility_meta(run, content)
        return content | dict(optimizer=run.optim_wrapper.state_dict())

    check_compatible(of_two("AdamW", "SGD"), saved(of_two("AdamW", "SGD")), "x")
    with pytest.raises(CheckpointError, match="b: AdamW in the file, SGD in the config"):
        check_compatible(of_two("AdamW", "SGD"), saved(of_two("AdamW", "AdamW")), "x")
    with pytest.raises(CheckpointError, match="optimizers one in the file, a, b in the config"):
        check_compatible(of_two("AdamW", "SGD"), checkpoint_of(run()), "x")
    with pytest.raises(CheckpointError, match=r"several optimizers \(a, b\) in the file, one"):
        check_compatible(run(), saved(of_two("AdamW", "SGD")), "x")


def late_start(first="AdamW", second="AdamW", own_meta=True):
    """Return a checkpoint of two optimizers, the second of which has not made an update."""
    started = of_two(first, second)
    for parameter in started.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    started.optim_wrapper["a"].step()
    content = dict(
        meta=dict(iter=500),
        state_dict=started.model.state_dict(),
        optimizer=started.optim_wrapper.state_dict(),
    )
    if own_meta:
        add_compatibility_meta(started, content)
    return copy.deepcopy(content)


@pytest.mark.parametrize("own_meta", [True, False])
@pytest.mark.parametrize("second", ["AdamW", "SGD"])
def test_optimizer_that_starts_late_needs_no_state(second, own_meta):
    check_compatible(of_two("AdamW", second), late_start("AdamW", second, own_meta), "x")


def test_updates_of_each_optimizer_are_compared():
    content = late_start()
    assert content["meta"]["updates"] == dict(a=1, b=0)
    content["optimizer"]["a"]["state"] = {}
    with pytest.raises(CheckpointError, match=r"a: .*exp_avg.* of all parameters are missing"):
        check_compatible(of_two("AdamW", "AdamW"), content, "x")
    content = late_start()
    content["meta"]["updates"]["a"] = 3
    with pytest.raises(CheckpointError, match="a: its step is 1, but its run has made 3 updates"):
        check_compatible(of_two("AdamW", "AdamW"), content, "x")


@pytest.mark.parametrize("updates", [None, 7])
def test_lost_state_of_all_optimizers_is_reported(updates):
    """Files of MMEngine's hook have no number of updates, those of earlier versions only one."""
    content = late_start(own_meta=False)
    content["meta"]["updates"] = updates
    content["optimizer"]["a"]["state"] = {}
    with pytest.raises(CheckpointError, match=r"a: .* are missing in the file; b: .* missing"):
        check_compatible(of_two("AdamW", "AdamW"), content, "x")


class StartsLate(TwoLayers):
    """Model whose second optimizer begins in the third iteration."""

    def __init__(self):
        super().__init__()
        self.iterations = 0

    def train_step(self, data, optim_wrapper):
        inputs = torch.stack(list(self.data_preprocessor(data, True)["inputs"])).float()
        for name, weight in (("a", self.second.weight), ("b", self.weight)):
            if name == "a" or self.iterations >= 2:
                optim_wrapper[name].update_params((weight - inputs.mean()).square().sum())
        self.iterations += 1
        return dict(loss=self.weight.sum())


def test_run_with_an_optimizer_that_starts_late_resumes_exactly(tmp_path):
    def train(folder, iterations, done=0):
        runner = toy_runner(tmp_path / folder, StartsLate(), iterations, resume=done > 0)
        runner.model.iterations = done
        torch.nn.init.ones_(runner.model.second.weight)
        runner.optim_wrapper = OptimWrapperDict(
            a=OptimWrapper(torch.optim.AdamW(runner.model.second.parameters(), lr=0.1)),
            b=OptimWrapper(torch.optim.AdamW([runner.model.weight], lr=0.1)),
        )
        runner.train()
        return [runner.model.weight.tolist(), runner.model.second.weight.tolist()]

    train("parts", 2)
    assert train("parts", 5, done=2) == train("whole", 5)
