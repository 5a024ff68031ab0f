"""Schema of the checkpoints from which MMEngine's runs are resumed."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.logging import HistoryBuffer
from mmengine.optim import _ParamScheduler
from torch import Tensor

from ..errors import CheckpointError
from .plain_data import (
    DICTS,
    NONE,
    NUMPY_NUMBERS,
    check_plain,
    check_tensor,
    describe,
    expect,
    expect_all,
    inside,
)
from .weights import check_weights

_MOST = 2**62
_META_TYPES: dict[str, tuple[type, ...]] = dict(
    seed=(int, NONE),
    cfg=(str, NONE),
    experiment_name=(str, NONE),
    time=(str, NONE),
    mmengine_version=(str, NONE),
    model_settings=(dict, NONE),
)
_SETTINGS = (bool, int, float, str)
_SCHEDULER_TYPES: dict[str, tuple[type, ...]] = dict(
    by_epoch=(bool,),
    param_name=(str,),
    begin=(int, float),
    end=(int, float),
    last_step=(int,),
    _global_step=(int,),
    T_max=(int, float),
    total_iters=(int, float),
)
_SCHEDULER_STATE = ("param_name", "begin", "end", "by_epoch", "last_step", "_global_step")
RUNTIME_TYPES: dict[str, tuple[type, ...]] = dict(
    cfg=(str,),
    seed=(int, NONE),
    epoch=(int,),
    iter=(int,),
    max_epochs=(int,),
    max_iters=(int,),
    last_validation=(int,),
    last_ckpt=(str, NONE),
)


def check_training_state(content: object, source: str | Path) -> None:
    """Check a complete checkpoint before a run is resumed from it.

    Only ``meta['config']`` is not checked; the caller must remove it without reading it.

    Raises:
        CheckpointError: a part is missing or has a type that MMEngine does not store there.
    """
    try:
        _check(content)
    except CheckpointError as error:
        raise CheckpointError(
            f"'{source}' cannot be resumed from: {error}; resume from another checkpoint of the run"
        ) from None


def _check(content: Any) -> None:
    expect(content, "the file", dict)
    for key in content:
        expect(key, "a key", str)
    for key in ("meta", "state_dict", "message_hub", "optimizer"):
        if key not in content:
            raise CheckpointError(
                f"it has no '{key}', so it is not a training checkpoint (to load weights"
                " only, use load_from without --resume)"
            )
    checks: dict[str, Callable[[Any, str], None]] = dict(
        meta=_check_meta,
        state_dict=check_weights,
        ema_state_dict=check_weights,
        message_hub=_check_message_hub,
        optimizer=_check_optimizer,
        param_schedulers=_check_schedulers,
    )
    for key, value in content.items():
        checks.get(key, check_plain)(value, inside("checkpoint", key))


def _check_meta(meta: Any, where: str) -> None:
    expect(meta, where, dict)
    for key in ("epoch", "iter"):
        if type(meta.get(key)) is not int or not 0 <= meta[key] < _MOST:
            raise CheckpointError(f"{where}.{key} is {describe(meta.get(key))}, not a count")
    if type(meta.get("seed")) is int and not 0 <= meta["seed"] < 2**32:
        raise CheckpointError(f"{where}.seed is {describe(meta['seed'])}, not from 0 to 2**32 - 1")
    for key, kinds in _META_TYPES.items():
        expect(meta.get(key), f"{where}.{key}", *kinds)
    kinds = meta.get("optimizer_type")  # one type, or several by name
    expect(kinds, f"{where}.optimizer_type", str, dict, NONE)
    for name, kind in kinds.items() if type(kinds) is dict else ():
        expect(kind, inside(f"{where}.optimizer_type", name), str)
    updates = meta.get("updates")  # of one optimizer, or of several by name
    for count in updates.values() if type(updates) is dict else [updates]:
        expect(count, f"{where}.updates", int, NONE)
    for name, settings in (meta.get("model_settings") or {}).items():
        place = inside(f"{where}.model_settings", name)
        expect(name, f"a name in {where}.model_settings", str)
        expect(settings, place, dict)
        for key, value in settings.items():
            expect(key, f"a name in {place}", str)
            for part in value if type(value) is list else [value]:
                expect(part, inside(place, key), *_SETTINGS)
    check_plain({key: value for key, value in meta.items() if key != "config"}, where)


def _check_message_hub(hub: Any, where: str) -> None:
    expect(hub, where, dict)
    for key in ("log_scalars", "runtime_info", "resumed_keys"):
        expect(hub.get(key), f"{where}.{key}", *DICTS)
        for name in hub[key]:
            expect(name, f"a name in {where}.{key}", str)
    for name, buffer in hub["log_scalars"].items():
        expect(buffer, inside(f"{where}.log_scalars", name), HistoryBuffer)
    for name, value in hub["resumed_keys"].items():
        expect(value, inside(f"{where}.resumed_keys", name), bool)
    for name, value in hub["runtime_info"].items():
        _check_runtime_info(name, value, inside(f"{where}.runtime_info", name))
    check_plain({key: value for key, value in hub.items() if key != "log_scalars"}, where)


def _check_runtime_info(name: str, value: Any, where: str) -> None:
    if name in RUNTIME_TYPES:
        expect(value, where, *RUNTIME_TYPES[name])
    elif name.startswith("best_ckpt"):
        expect(value, where, str)
    elif name.startswith("best_score"):
        expect(value, where, int, float, Tensor, *NUMPY_NUMBERS)
    elif name.startswith("keep_ckpt_ids"):
        expect_all(value, where, int)
    elif name == "position_in_epoch":  # written by this package's epoch loop
        expect(value, where, dict)
        expect_all([value.get(key) for key in ("epoch", "batches", "of")], where, int)
    elif name == "early_stopping":
        expect_all(value, where, dict)
        expect_all([each.get("wait_count") for each in value], f"{where}.wait_count", int)
        expect_all([each.get("best_score") for each in value], f"{where}.best_score", float)
        expect_all([each.get("non_finite", 0.0) for each in value], f"{where}.non_finite", float)


def _check_optimizer(state: Any, where: str) -> None:
    """Check one optimizer's state, or states by name, as OptimWrapperDict stores them."""
    expect(state, where, dict)
    if "param_groups" not in state:
        for name, one in state.items():
            expect(name, f"a name in {where}", str)
            expect(one, inside(where, name), dict)
            _check_one_optimizer(one, inside(where, name))
        return
    _check_one_optimizer(state, where)


def _check_one_optimizer(state: Any, where: str) -> None:
    expect(state.get("param_groups"), f"{where}.param_groups", list)
    for number, group in enumerate(state["param_groups"]):
        _check_group(group, f"{where}.param_groups[{number}]")
        expect_all(group.get("params"), f"{where}.param_groups[{number}].params", int)
    if state.get("base_param_settings") is not None:
        _check_group(state["base_param_settings"], f"{where}.base_param_settings")
    expect(state.get("state"), f"{where}.state", *DICTS)
    for number, entries in state["state"].items():
        expect(number, f"a key in {where}.state", int)
        place = f"{where}.state.{number}"
        expect(entries, place, *DICTS)
        for key, value in entries.items():
            expect(key, f"a key in {place}", str)
            expect(value, inside(place, key), Tensor, NONE, bool, int, float)
            if key == "step":
                _check_number(value, f"{place}.step")
            elif type(value) is Tensor and value.requires_grad:
                raise CheckpointError(f"{inside(place, key)} is a tensor that requires a gradient")
    check_plain(state, where, numpy=False)


def _check_group(group: Any, where: str) -> None:
    expect(group, where, dict)
    for key in group:
        expect(key, f"a key in {where}", str)
    _check_number(group.get("lr"), f"{where}.lr")
    _check_number(group.get("initial_lr", 0.0), f"{where}.initial_lr")


def _check_number(value: Any, where: str) -> None:
    """Check that a value is a finite number, or a tensor of one."""
    expect(value, where, int, float, Tensor)
    if type(value) is Tensor:
        check_tensor(value, where)
        is_finite = value.numel() == 1 and bool(value.isfinite().all())
    else:
        is_finite = abs(value) < math.inf
    if not is_finite:
        raise CheckpointError(f"{where} is not a finite number")


def _check_schedulers(states: Any, where: str) -> None:
    """Check a list of scheduler states, or such lists by the name of an optimizer."""
    if type(states) is dict:
        for name, some in states.items():
            expect(name, f"a name in {where}", str)
            _check_scheduler_list(some, inside(where, name))
        return
    _check_scheduler_list(states, where)


def _check_scheduler_list(states: Any, where: str) -> None:
    expect(states, where, list)
    for number, state in enumerate(states):
        place = f"{where}[{number}]"
        expect(state, place, *DICTS)
        check_plain(state, place)
        for key in _SCHEDULER_STATE:
            if key not in state:
                raise CheckpointError(
                    f"{place} has no {key}, which every scheduler's state contains"
                )
        for key, value in state.items():
            expect(key, f"a key in {place}", str)
            if key == "optimizer" or hasattr(_ParamScheduler, key):
                # MMEngine assigns the entries as attributes of the scheduler
                raise CheckpointError(f"{inside(place, key)} would replace a scheduler's method")
            if key in _SCHEDULER_TYPES:
                expect(value, f"{place}.{key}", *_SCHEDULER_TYPES[key])
            elif key in ("base_values", "_last_value"):
                expect(value, f"{place}.{key}", list)
                for index, each in enumerate(value):
                    _check_number(each, f"{place}.{key}[{index}]")
