import collections
import datetime
import functools
import logging
import math
import pathlib
import threading

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.optim import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS
from tiny_run import ToyImages, ToyModel, toy_runner
from torch import nn

from mim_plugins.engine.hooks.preemption_hook import checkpoint_hook
from mim_plugins.engine.resume.checkpoint_files import read_structure
from mim_plugins.errors import ConfigError

CONVERTED = dict(
    one_set={2, 1},
    text=np.str_("x"),
    texts=np.array(["a", "b"]),
    date=datetime.date(2024, 5, 6),
    path=pathlib.PurePosixPath("a/b"),
    size=torch.Size([1, 2]),
    device=torch.device("cpu"),
    kind=torch.float32,
    config=ConfigDict(a=ConfigDict(b=(1, {2}))),
    counter=collections.Counter("aab"),
    queue=collections.deque([1]),
    default=collections.defaultdict(int, {np.int64(3): 1}),
    raw=bytearray(b"x"),
    steps=range(3),
    number=np.complex64(1j),
    sparse=torch.eye(2).to_sparse(),
    wide=torch.zeros(1).expand(5000, 1000),
)
PLAIN = dict(
    one_set=[1, 2],
    text="x",
    texts=["a", "b"],
    date="2024-05-06",
    path="a/b",
    size=(1, 2),
    device="cpu",
    kind="torch.float32",
    config=dict(a=dict(b=(1, [2]))),
    counter=dict(a=2, b=1),
    queue=[1],
    default={3: 1},
    raw=b"x",
    steps=[0, 1, 2],
    number=1j,
)
LOST = dict(
    span=slice(1),
    function=print,
    empty=torch.zeros(2, device="meta"),
    deep=[1, [2, [object()]]],
    big=2**100,
)


class Store(Hook):
    def __init__(self, **entries):
        self.entries = entries

    def before_train(self, runner):
        runner.message_hub.update_info("mine", self.entries["hub"])

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["mine"] = self.entries["checkpoint"]


class Images(ToyImages):
    metainfo = CONVERTED | dict(classes=("a",))


def train(work_dir, hooks=(), log=None, images=None, **settings):
    loader = dict(batch_size=4, dataset=images or ToyImages(), sampler=dict(type="InfiniteSampler"))
    runner = toy_runner(work_dir, hooks=hooks, train_dataloader=loader, **settings)
    if log:
        runner.logger.addHandler(log)
    runner.train()
    return runner


def warnings_of(caplog):
    """Return the warnings about the content of checkpoints."""
    texts = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    beginnings = ("checkpoints", "--resume", "Resuming", "The dataset metainfo")
    return [text for text in texts if text.startswith(beginnings)]


def test_entries_become_plain_and_the_run_resumes(tmp_path, caplog):
    values = CONVERTED | LOST
    hooks = [Store(hub=values, checkpoint=values)]
    del hooks[0].entries["hub"]["empty"]  # which MMEngine itself cannot copy
    train(tmp_path, hooks, caplog.handler, Images(), iterations=3)
    content = read_structure(tmp_path / "iter_3.pth")
    for found in (content["mine"], content["message_hub"]["runtime_info"]["mine"]):
        assert {name: found[name] for name in PLAIN} == PLAIN
        assert torch.equal(found["sparse"], torch.eye(2))
        assert torch.equal(found["wide"], torch.zeros(5000, 1000))
        assert not found.keys() & LOST.keys()
    changed, lost = warnings_of(caplog)
    assert changed.startswith("checkpoints store m")
    assert ".one_set (set as list)" in changed
    assert ".span (slice)" in lost
    caplog.clear()
    train(tmp_path, hooks, caplog.handler, Images(), iterations=4, resume=True)
    assert not [text for text in warnings_of(caplog) if "metainfo" in text]
    assert read_structure(tmp_path / "iter_4.pth")["meta"]["iter"] == 4


@PARAM_SCHEDULERS.register_module()
class FunctionScheduler(_ParamScheduler):
    """Scheduler with an arbitrary object in its state, which returns NumPy numbers."""

    def __init__(self, optimizer, function, guarded=False, **settings):
        self.function, self.guard = function, threading.Lock() if guarded else None
        super().__init__(optimizer, "lr", **settings)

    def _get_value(self):
        factor = self.function(self.last_step)
        return [np.float64(base * factor) for base in self.base_values]


class Decay:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, step):
        return self.factor**step


def decay(step, factor):
    return factor**step


FUNCTIONS = {
    "lambda": lambda: lambda step: 0.5**step,
    "closure": lambda factor=0.5: lambda step: factor**step,
    "partial": lambda: functools.partial(decay, factor=0.5),
    "object": lambda: Decay(0.5),
    "method": lambda: Decay(0.5).__call__,
    "builtin": lambda: math.exp,
}


def run_function(work_dir, function, log=None, guarded=False, **settings):
    schedule = dict(type="FunctionScheduler", function=function, by_epoch=False, end=100)
    return train(work_dir, log=log, param_scheduler=schedule | dict(guarded=guarded), **settings)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_functions_of_schedulers_are_stored_and_compared(tmp_path, caplog, kind):
    run_function(tmp_path, FUNCTIONS[kind](), iterations=2)
    runner = run_function(tmp_path, FUNCTIONS[kind](), caplog.handler, iterations=3, resume=True)
    assert not [text for text in warnings_of(caplog) if "Scheduler" in text]
    expected = 0.1 * FUNCTIONS[kind]()(3)
    assert runner.optim_wrapper.param_groups[0]["lr"] == pytest.approx(expected)


def test_another_function_is_reported(tmp_path, caplog):
    run_function(tmp_path, math.exp, iterations=2)
    runner = run_function(tmp_path, Decay(0.25), caplog.handler, iterations=3, resume=True)
    assert "FunctionScheduler follows the config, not the checkpoint" in caplog.text
    assert runner.optim_wrapper.param_groups[0]["lr"] == pytest.approx(0.1 * 0.25**3)


def test_unstorable_scheduler_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match="FunctionScheduler contains an object that a checkpoint"):
        run_function(tmp_path, Decay(0.5), guarded=True)
    assert not list(tmp_path.glob("*.pth"))


class Observer(ToyModel):
    """Model with buffers that are special during training."""

    def __init__(self):
        super().__init__()
        self.register_buffer("low", torch.tensor(math.inf))
        self.register_buffer("wide", torch.zeros(1).expand(5000, 1000))

    def forward(self, inputs, data_samples=None, mode="loss"):
        self.low.fill_(-math.inf)
        return super().forward(inputs, data_samples, mode)


def test_special_buffers_and_milestones_are_resumed(tmp_path, caplog):
    schedule = [
        dict(type="MultiStepLR", milestones=[1, 3], by_epoch=False),
        dict(type="CosineAnnealingLR", by_epoch=False),
    ]
    settings = dict(param_scheduler=schedule, log=caplog.handler)
    train(tmp_path, model=Observer(), iterations=4, **settings)
    (tmp_path / "iter_4.pth").unlink()
    (tmp_path / "last_checkpoint").unlink()
    runner = train(tmp_path, model=Observer(), iterations=4, resume=True, **settings)
    assert runner.model.low == -math.inf
    assert warnings_of(caplog) == []


class NotFinite(ToyModel):
    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.tensor([math.nan]))


def test_first_checkpoint_that_cannot_be_resumed_is_reported(tmp_path, caplog):
    train(tmp_path, model=NotFinite(), log=caplog.handler)
    (text,) = warnings_of(caplog)
    assert text.startswith("--resume will refuse the checkpoints of this run: ")
    assert "unused" in text


def test_only_files_with_more_than_weights_are_checked(tmp_path, caplog):
    def save(model):
        runner = toy_runner(tmp_path, model=model, checkpoint=dict(save_optimizer=False))
        runner.logger.addHandler(caplog.handler)
        runner.train()
        checkpoint_hook(runner, "test").save_iteration(runner, "interrupted.pth", "")

    save(ToyModel())
    assert "will refuse" not in caplog.text
    save(NotFinite())
    assert "will refuse" in caplog.text


class Nested(ToyModel):
    def __init__(self):
        super().__init__()
        self.module = nn.Linear(2, 2)


class WithState(ToyModel):
    def get_extra_state(self):
        return dict(a=1)

    def set_extra_state(self, state):
        pass


@pytest.mark.parametrize(
    ("model", "named"), [(Nested, "a child named 'module'"), (WithState, "_extra_state")]
)
def test_model_that_cannot_be_saved_is_refused(tmp_path, model, named):
    with pytest.raises(ConfigError, match=named):
        train(tmp_path, model=model())
