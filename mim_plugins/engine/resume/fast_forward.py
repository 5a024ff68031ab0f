"""Schedules brought to any position of a run, without training."""

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
    """Bring schedulers, and the parameter groups that they schedule, to a position.

    The schedulers make all steps that they would have made in training, in the same order, because
    their values follow from one another: the result equals an uninterrupted run's to the bit.
    Groups with the same values are stepped once.

    Args:
        schedulers: of one optimizer, just built; changed in place.
        groups: that optimizer's, with the schedulers' first values; changed in place.
        position: steps to make.
    """
    if not schedulers:
        return
    kinds = [_kind(schedulers, groups, index) for index in range(len(groups))]
    firsts = [kinds.index(kind) for kind in dict.fromkeys(kinds)]
    stand_in = SimpleNamespace(
        param_groups=[_values(groups[index]) for index in firsts],
        step=SimpleNamespace(_with_counter=True),  # which MMEngine looks for, and warns without
        _global_step=0,
    )
    twins = [_twin(scheduler, stand_in, firsts) for scheduler in schedulers]
    _step_through(twins, position)
    for group, kind in zip(groups, kinds, strict=True):
        group.update(stand_in.param_groups[firsts.index(kinds.index(kind))])
    for scheduler, twin in zip(schedulers, twins, strict=True):
        kept = ("optimizer", "verbose", *_PER_GROUP)
        vars(scheduler).update({k: v for k, v in vars(twin).items() if k not in kept})
        scheduler._last_value = [group[scheduler.param_name] for group in groups]


def _kind(schedulers: Sequence[Any], groups: list[dict], index: int) -> tuple:
    """Return all that the values of a group follow from; groups of one kind go together."""
    values = _values(groups[index])
    if any(isinstance(value, Tensor) for value in values.values()):
        return (index,)
    if not all(type(each).__module__.startswith("mmengine.") for each in schedulers):
        return (index,)  # others may have lists per group of their own
    own = [vars(each)[key][index] for each in schedulers for key in _PER_GROUP if key in vars(each)]
    return repr(sorted(values.items())), repr(own)


def _values(group: dict) -> dict:
    return {key: v for key, v in group.items() if isinstance(v, (int, float, tuple, Tensor))}


def _twin(scheduler: Any, optimizer: SimpleNamespace, groups: list[int]) -> Any:
    twin = copy.copy(scheduler)
    twin.optimizer, twin.verbose = optimizer, False
    for key in _PER_GROUP:
        if key in vars(twin):
            setattr(twin, key, [vars(twin)[key][index] for index in groups])
    return twin


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
    """Make the steps after ``start`` up to ``stop``; idle schedulers only count theirs."""
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
    """Whether MMEngine's ``step`` would only count, between two of the schedulers' edges."""
    return type(scheduler).step in _COUNTING and not scheduler.begin <= step < scheduler.end
