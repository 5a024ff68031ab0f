"""Fast-forward of learning-rate schedules to any position of a run."""

import copy
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin
from torch import Tensor

from .resumed_position import ResumedPosition

_PER_GROUP = ("base_values", "min_values")  # attributes of schedulers with a value per group
_COUNTING = (_ParamScheduler.step, MomentumSchedulerMixin.step)


def fast_forward(schedulers: Sequence[Any], groups: list[dict], position: ResumedPosition) -> None:
    """Step schedulers and their parameter groups to a position without training.

    Scheduled values depend on the preceding ones, so the schedulers take all steps of an
    uninterrupted training in the same order. The result is bit-identical to it. Groups with equal
    values are stepped only once.

    Args:
        schedulers: newly built schedulers of one optimizer; changed in place.
        groups: parameter groups of that optimizer, with the initial values of the schedulers;
            changed in place.
        position: position to reach.
    """
    if not schedulers:
        return
    keys = [_group_key(schedulers, groups, index) for index in range(len(groups))]
    firsts = [keys.index(key) for key in dict.fromkeys(keys)]
    proxy = SimpleNamespace(
        param_groups=[_values(groups[index]) for index in firsts],
        step=SimpleNamespace(_with_counter=True),  # avoids a warning of MMEngine
        _global_step=0,
    )
    copies = [_copy_for(scheduler, proxy, firsts) for scheduler in schedulers]
    _step_through(copies, position)
    sources = [firsts.index(keys.index(key)) for key in keys]
    for group, source in zip(groups, sources, strict=True):
        group.update(proxy.param_groups[source])
    for scheduler, stepped in zip(schedulers, copies, strict=True):
        unchanged = ("optimizer", "verbose", *_PER_GROUP)
        vars(scheduler).update({k: v for k, v in vars(stepped).items() if k not in unchanged})
        if len(stepped._last_value) == len(firsts):  # one that never stepped has all values
            scheduler._last_value = [stepped._last_value[source] for source in sources]


def _group_key(schedulers: Sequence[Any], groups: list[dict], index: int) -> tuple:
    """Return everything that determines the values of a group; equal keys are stepped together."""
    values = _values(groups[index])
    if any(isinstance(value, Tensor) for value in values.values()):
        return (index,)
    known = ("mmengine.", "mim_plugins.")
    if not all(type(each).__module__.startswith(known) for each in schedulers):
        return (index,)  # other schedulers may have further lists per group
    own = [vars(each)[key][index] for each in schedulers for key in _PER_GROUP if key in vars(each)]
    return repr(sorted(values.items())), repr(own)


def _values(group: dict) -> dict:
    return {key: v for key, v in group.items() if isinstance(v, (int, float, tuple, Tensor))}


def _copy_for(scheduler: Any, optimizer: SimpleNamespace, groups: list[int]) -> Any:
    stepped = copy.copy(scheduler)
    stepped.optimizer, stepped.verbose = optimizer, False
    for key in _PER_GROUP:
        if key in vars(stepped):
            setattr(stepped, key, [vars(stepped)[key][index] for index in groups])
    return stepped


def _step_through(schedulers: list, position: ResumedPosition) -> None:
    by_epoch = [each for each in schedulers if each.by_epoch]
    by_iteration = [each for each in schedulers if not each.by_epoch]
    done = 0
    for epoch in range(position.epochs if by_epoch else 0):
        stop = min((epoch + 1) * position.epoch_length, position.iterations)
        _step(by_iteration, done, stop)
        _step(by_epoch, epoch, epoch + 1)
        done = stop
    _step(by_iteration, done, position.iterations)


def _step(schedulers: list, start: int, stop: int) -> None:
    """Take the steps after ``start`` up to ``stop``; idle schedulers only count them."""
    if start >= stop:
        return
    edges = {edge for each in schedulers for edge in (each.begin, each.end)}
    first = start + 1
    for edge in (*sorted(edge for edge in edges if first < edge < stop), stop):
        active = [each for each in schedulers if not _is_idle(each, first)]
        for _ in range(first, edge):
            for scheduler in active:
                scheduler.step()
        for scheduler in schedulers:
            if scheduler not in active:
                scheduler._global_step = edge - 1
        first = edge
    for scheduler in schedulers:
        scheduler.step()


def _is_idle(scheduler: Any, step: int) -> bool:
    """Return whether MMEngine's ``step`` only counts, outside the scheduler's begin and end."""
    return type(scheduler).step in _COUNTING and not scheduler.begin <= step < scheduler.end
