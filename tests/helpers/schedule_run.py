"""A run without model and data: only its optimizers' parameter groups are scheduled."""

import copy
import io
import logging

import torch
from mmengine.hooks import ParamSchedulerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn

from mim_plugins.checkpoints import plain_data_only
from mim_plugins.engine.resume.resumed_position import POSITION
from mim_plugins.engine.resume.resumed_schedule import apply_config_schedule
from mim_plugins.engine.resume.scheduler_state import plain_scheduler_state

KEYS = ("lr", "momentum", "betas", "weight_decay")
SGD = dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=0.05)


class ScheduleRun:
    """Steps schedulers as MMEngine's runner does; ``trace`` has the values of each iteration.

    Args:
        schedulers: configs, as ``param_scheduler`` takes them.
        length: iterations per epoch.
        epochs: epochs of the run, or None for a run that counts iterations.
        iterations: iterations of a run without epochs.
        optimizer: config of the optimizer; its three groups have other rates.
        names: of several optimizers; none for a single one.
        metrics: of the validation after each epoch.
    """

    world_size = 1
    logger = logging.getLogger("schedule_run")

    def __init__(
        self, schedulers, length=4, epochs=6, iterations=None, optimizer=SGD, names=(), metrics=None
    ):
        loop = EpochBasedTrainLoop if epochs else IterBasedTrainLoop
        self._train_loop = self.train_loop = loop.__new__(loop)
        self.train_dataloader = range(length)
        self.max_epochs = epochs or 1
        self.max_iters = epochs * length if epochs else iterations
        self.by_epoch = epochs is not None
        self.metrics = metrics
        wrappers = {name: _wrapper(optimizer) for name in names or ("",)}
        self.optim_wrapper = OptimWrapperDict(**wrappers) if names else wrappers[""]
        self.param_schedulers = None
        if schedulers is not None:
            self.param_schedulers = Runner.build_param_scheduler(self, copy.deepcopy(schedulers))
        self.epoch = self.iter = 0
        self.trace = []

    def _build_param_scheduler(self, *args):
        return Runner._build_param_scheduler(self, *args)

    def go(self, until=None):
        """Train up to an iteration, or the end."""
        hook, length = ParamSchedulerHook(), len(self.train_dataloader)
        until = self.max_iters if until is None else until
        while self.iter < until:
            self.trace.append(self.values())
            self.iter += 1
            hook.after_train_iter(self, self.iter)
            if self.by_epoch and self.iter % length == 0:
                hook.after_train_epoch(self)
                self.epoch += 1
                if self.metrics:
                    hook.after_val_epoch(self, dict(loss=self.metrics[self.epoch - 1]))
        return self

    def values(self):
        wrapper = self.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        return [
            {key: group[key] for key in KEYS if key in group}
            for each in wrappers
            for group in each.param_groups
        ]

    def checkpoint(self):
        """Return a checkpoint as it is read back from the disk."""
        schedulers = self.param_schedulers
        states = (
            {name: list(map(plain_scheduler_state, some)) for name, some in schedulers.items()}
            if isinstance(schedulers, dict)
            else list(map(plain_scheduler_state, schedulers or []))
        )
        info, length = (
            dict(max_epochs=self.max_epochs, max_iters=self.max_iters),
            len(self.train_dataloader),
        )
        if self.by_epoch:
            batches = self.iter - self.epoch * length
            epoch, batches = (self.epoch, batches) if batches else (self.epoch - 1, length)
            info[POSITION] = dict(epoch=epoch, batches=batches, of=length)
        checkpoint = copy.deepcopy(
            dict(
                meta=dict(epoch=self.epoch, iter=self.iter),
                message_hub=dict(runtime_info=info),
                optimizer=self.optim_wrapper.state_dict(),
                param_schedulers=states,
            )
        )
        file = io.BytesIO()
        torch.save(checkpoint, file)
        file.seek(0)
        with plain_data_only():
            return torch.load(file)

    def resume(self, checkpoint):
        """Continue from a checkpoint as MMEngine's runner does; return the messages on changes."""
        changes = apply_config_schedule(self, checkpoint)
        self.epoch, self.iter = checkpoint["meta"]["epoch"], checkpoint["meta"]["iter"]
        if "optimizer" in checkpoint:
            self.optim_wrapper.load_state_dict(checkpoint["optimizer"])
        for name, built in _by_name(self.param_schedulers):
            states = checkpoint["param_schedulers"]
            for scheduler, state in zip(built, states[name] if name else states, strict=True):
                scheduler.load_state_dict(state)
        return changes


def _by_name(schedulers):
    if schedulers is None:
        return []
    return schedulers.items() if isinstance(schedulers, dict) else [("", schedulers)]


def _wrapper(optimizer):
    optimizer = dict(optimizer)
    build, lr = getattr(torch.optim, optimizer.pop("type")), optimizer.pop("lr")
    groups = [
        dict(params=[nn.Parameter(torch.zeros(1))], lr=lr * scale) for scale in (1, 0.25, 1, 0.5)
    ]
    return OptimWrapper(build(groups, lr=lr, **optimizer))


def whole_and_resumed(before, after, stop):
    """Traces of a run of ``after``, and of one that is resumed from ``before`` at ``stop``.

    Args:
        before: arguments of the run of which a checkpoint is taken.
        after: those of the run that goes on.
        stop: iteration of the checkpoint.

    Returns:
        The values of the later iterations in both runs, and what was changed.
    """
    checkpoint = ScheduleRun(**before).go(stop).checkpoint()
    resumed = ScheduleRun(**after)
    changes = resumed.resume(checkpoint)
    start = resumed.iter
    return ScheduleRun(**after).go().trace[start:], resumed.go().trace, changes
