"""Conversion of a run's checkpoints to the plain data from which a run can be resumed."""

from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from mmengine.runner import Runner
from torch import Tensor

from ...checkpoints import check_training_state
from ...checkpoints.plain_copier import LOST, PlainCopier, plain_tensor
from ...checkpoints.training_state import RUNTIME_TYPES
from ...errors import CheckpointError, ConfigError
from ...wording import listed
from ..model_wrapper import unwrap_model
from .checkpoint_compatibility import check_compatible
from .loaded_checkpoint import is_trusted
from .loaded_weights import check_loadable
from .scheduler_state import plain_scheduler_state
from .single_hooks import check_single_hooks

_WEIGHTS = ("state_dict", "ema_state_dict")
_DATA = "dataset_meta"
_LISTED = 4
_reported: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
_checked: WeakSet[Any] = WeakSet()


def check_savable(runner: Runner) -> None:
    """Check before training that the schedulers, the model and the hooks can be saved.

    Raises:
        ConfigError: a scheduler contains an object that cannot be stored, the model has a state
            that is not a tensor, or hooks contradict each other (:func:`check_single_hooks`).
    """
    check_single_hooks(runner)
    schedulers = runner.param_schedulers or []
    for some in schedulers.values() if isinstance(schedulers, dict) else [schedulers]:
        for scheduler in some:
            plain_scheduler_state(scheduler)
    if is_trusted(runner):
        return
    model = unwrap_model(runner.model)
    if "module" in dict(model.named_children()):
        raise ConfigError(
            f"{type(model).__name__} has a child named 'module', which MMEngine takes for the model"
            " in a distributed wrapper: only this child would be trained; give it another name"
        )
    for name, value in model.state_dict().items():
        if not isinstance(value, Tensor):
            raise ConfigError(
                f"the model's state '{name}' is {type(value).__name__}, not a tensor, so MMEngine"
                " cannot save the model: return a tensor from get_extra_state"
            )


def make_resumable(runner: Runner, checkpoint: dict) -> dict:
    """Convert a checkpoint that is about to be saved to plain data, in place, and return it.

    One warning per run names the entries that are stored in another form or left out. The first
    checkpoint of a run with more than weights is also checked as ``--resume`` will check it; a
    warning states the problem.
    """
    try:
        _convert_schedulers(runner, checkpoint)
    except ConfigError as error:  # must not end a run that has begun
        del checkpoint["param_schedulers"]
        _report(runner, f"checkpoints contain no schedulers: {error}")
    if is_trusted(runner):
        return checkpoint
    changed, lost = _convert(checkpoint)
    if changed:
        _report(
            runner,
            f"checkpoints store {listed(changed, _LISTED)}: a resumed run reads the latter type",
        )
    if lost:
        _report(
            runner,
            f"checkpoints do not contain {listed(lost, _LISTED)}, which is not plain data: a"
            " resumed run starts without it",
        )
    if runner not in _checked and "optimizer" in checkpoint:
        _checked.add(runner)
        try:
            check_training_state(checkpoint, "the checkpoint")
            check_compatible(runner, checkpoint, "the checkpoint")
            check_loadable(runner.model, checkpoint, "the checkpoint", resume=True)
        except CheckpointError as error:
            _report(runner, f"--resume will refuse the checkpoints of this run: {error}")
    return checkpoint


def _convert_schedulers(runner: Runner, checkpoint: dict) -> None:
    schedulers = runner.param_schedulers
    if "param_schedulers" not in checkpoint or schedulers is None:
        return
    checkpoint["param_schedulers"] = (
        {name: list(map(plain_scheduler_state, some)) for name, some in schedulers.items()}
        if isinstance(schedulers, dict)
        else list(map(plain_scheduler_state, schedulers))
    )


def _convert(checkpoint: dict) -> tuple[list[str], list[str]]:
    """Convert all but the schedulers; return what has changed its type and what is left out."""
    values, optimizer = PlainCopier(), PlainCopier(numbers=False, arrays=False)
    counts, data = PlainCopier(numbers=False), PlainCopier()
    for key in [key for key in checkpoint if key != "param_schedulers"]:
        value = checkpoint[key]
        if key in _WEIGHTS:
            _convert_weights(value)
            continue
        if key == "optimizer":
            plain = optimizer.copy(value, key)
            _detach(plain)
        elif key in ("meta", "message_hub"):
            plain = dict(value)
            for name in value.keys() - {"log_scalars", "runtime_info"}:
                copier = data if name == _DATA else counts if key == "meta" else values
                plain[name] = copier.copy(value[name], f"{key}.{name}")
            if key == "message_hub":
                plain["runtime_info"] = info = dict(value["runtime_info"])
                for name in info:
                    copier = counts if name in RUNTIME_TYPES else values
                    copier = data if name == _DATA else copier
                    info[name] = copier.copy(info[name], f"{key}.runtime_info.{name}")
                plain["runtime_info"] = _without_lost(info)
            plain = _without_lost(plain)
        else:
            plain = values.copy(value, key)
        checkpoint[key] = plain
    for key in [key for key, value in checkpoint.items() if value is LOST]:
        del checkpoint[key]
    lost = [text for each in (values, optimizer, counts, data) for text in each.lost]
    return values.changed, lost  # the former types of the others are not read back


def _without_lost(entries: dict) -> dict:
    return {name: value for name, value in entries.items() if value is not LOST}


def _convert_weights(weights: Any) -> None:
    for name, value in weights.items() if isinstance(weights, dict) else ():
        if isinstance(value, Tensor) and not value.is_sparse:
            plain = plain_tensor(value)
            weights[name] = value if plain is LOST else plain


def _detach(value: Any) -> None:
    for key, entry in value.items() if isinstance(value, dict) else ():
        if isinstance(entry, Tensor) and entry.requires_grad:
            value[key] = entry.detach()
        _detach(entry)


def _report(runner: Runner, text: str) -> None:
    texts = _reported.setdefault(runner, set())
    if text not in texts:
        texts.add(text)
        runner.logger.warning(text)
