"""Names that are valid at each place of a config."""

import difflib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from mmengine import registry as registries
from mmengine.hooks import EMAHook
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import AmpOptimWrapper, DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    TestLoop,
    ValLoop,
)
from mmengine.visualization import Visualizer

from .arguments import Arguments, accepted_arguments
from .plain_dicts import DEFAULT_HOOKS, plain_arguments, top_level
from .plain_dicts import Path as Path
from .types import resolve_type

CLOSE = 0.8  # similarity (at most 1) above which one name is a misspelling of the other

_EMPTY = inspect.Parameter.empty
_REGISTRIES = dict(
    batch_sampler=registries.DATA_SAMPLERS, batch_transform=registries.TRANSFORMS,
    collate_fn=registries.FUNCTIONS, data_preprocessor=registries.MODELS,
    dataset=registries.DATASETS, datasets=registries.DATASETS,
    init_cfg=registries.WEIGHT_INITIALIZERS, log_processor=registries.LOG_PROCESSORS,
    model=registries.MODELS,
    model_wrapper_cfg=registries.MODEL_WRAPPERS, optim_wrapper=registries.OPTIM_WRAPPERS,
    optimizer=registries.OPTIMIZERS, param_scheduler=registries.PARAM_SCHEDULERS,
    pipeline=registries.TRANSFORMS, sampler=registries.DATA_SAMPLERS,
    test_evaluator=registries.METRICS, transforms=registries.TRANSFORMS,
    tta_model=registries.MODELS, tta_pipeline=registries.TRANSFORMS,
    val_evaluator=registries.METRICS, vis_backends=registries.VISBACKENDS,
    visualizer=registries.VISUALIZERS, worker_init_fn=registries.FUNCTIONS,
)  # fmt: skip
_LOOPS = dict(val_cfg=ValLoop, test_cfg=TestLoop)


def arguments_at(path: Path, node: dict, scope: str | None) -> Arguments | None:
    """Return the names that the dict ``node`` of a config may contain, or None if unknown.

    Args:
        path: keys that lead to the dict; ``()`` is the config itself.
        node: the dict.
        scope: the config's ``default_scope``.
    """
    built = _built_from(path, node, scope)
    if built is not None:
        arguments = _with_averaged_model(accepted_arguments(built), built, node, scope)
        if built is OptimWrapper:  # those of mixed precision are removed before it is built
            arguments = accepted_arguments(AmpOptimWrapper)._replace(owner=arguments.owner)
        is_open = arguments.is_open or (
            path == ("optim_wrapper",) and not _has_default_constructor(node, scope)
        )
        names = arguments.names | _removed_before_building(path)
        return arguments._replace(names=names, is_open=is_open)
    return plain_arguments(path, node)


def entry_problem(path: Path, node: Any, scope: str | None) -> str | None:
    """Return an error text on the names in a dict of a config, or None.

    Some constructors accept any name and fail hours later, so names are checked here.
    """
    if not isinstance(node, dict):
        return None
    arguments = arguments_at(path, node, scope)
    if arguments is None:
        return None
    problems = (unknown_name(path, str(name), arguments) for name in node)
    return next((each for each in problems if each is not None), None)


def unknown_name(path: Path, name: str, arguments: Arguments) -> str | None:
    """Return an error text if ``arguments`` cannot take ``name``, or None."""
    if name in arguments.names or name in ("type", "_scope_"):
        return None
    cutoff = CLOSE if arguments.is_open else 0.6
    near = difflib.get_close_matches(name, arguments.names, n=1, cutoff=cutoff)
    if not near and arguments.is_open:
        return None
    full = ".".join((*path, name))
    if near:
        return (
            f"'{full}': {arguments.owner} has no '{name}'; did you mean {'.'.join((*path, *near))}?"
        )
    return (
        f"'{full}': {arguments.owner} has no '{name}'; it has {', '.join(sorted(arguments.names))}"
    )


def is_read_at_top(name: str) -> bool:
    """Return whether MMEngine's runner or a tool reads this top-level entry of a config."""
    return name in top_level().names


def _built_from(path: Path, node: dict, scope: str | None) -> Any:
    """Return the class or function whose arguments ``node`` contains, or None."""
    if not path:
        return None
    kind = dict.get(node, "type")
    if kind is None:
        return _built_without_type(path, node)
    found = (
        # MMEngine looks functions up without a scope, and warns if the scope has no registry
        resolve_type(kind, each, None if each is registries.FUNCTIONS else scope)
        for each in _candidates(path)
    )
    return next((each for each in found if each is not None), None)


def _built_without_type(path: Path, node: dict) -> Any:
    if path == ("train_cfg",) and "by_epoch" in node:  # which MMEngine demands
        return EpochBasedTrainLoop if node["by_epoch"] else IterBasedTrainLoop
    if len(path) == 1:
        defaults: dict[str, Callable] = dict(
            optim_wrapper=OptimWrapper,
            log_processor=LogProcessor,
            visualizer=Visualizer,
            model_wrapper_cfg=MMDistributedDataParallel,
            **_LOOPS,
        )
        return defaults.get(path[0])
    if path[0] == "default_hooks" and len(path) == 2 and path[1] in DEFAULT_HOOKS:
        return registries.HOOKS.get(DEFAULT_HOOKS[path[1]])
    if path[:2] == ("model", "mimics") and len(path) == 3 and "target_generator" in node:
        return resolve_type("mim_plugins.Mimic", registries.MODELS)
    return None


def _has_default_constructor(wrapper: dict, scope: str | None) -> bool:
    """Return whether all names in the optimizer wrapper's dict are its arguments.

    Other constructors may accept more, such as an optimizer for each part of the model.
    """
    default = DefaultOptimWrapperConstructor
    kind = dict.get(wrapper, "constructor", default)
    found = resolve_type(kind, registries.OPTIM_WRAPPER_CONSTRUCTORS, scope)
    return (
        inspect.isclass(found) and issubclass(found, default) and found.__call__ is default.__call__
    )


def _candidates(path: Path) -> Iterator[Registry]:
    """Yield the registries that may build the dict at ``path``, the most likely one first."""
    if path[0] in ("train_cfg", "val_cfg", "test_cfg"):
        yield registries.LOOPS
        return
    if path[0] in ("custom_hooks", "default_hooks"):
        yield registries.HOOKS
        return
    if "augments" in path:
        from mmpretrain.registry import BATCH_AUGMENTS

        yield BATCH_AUGMENTS
    for key in reversed(path):
        if key in _REGISTRIES:
            yield _REGISTRIES[key]
            break
    if path[0] in ("model", "tta_model"):
        yield from (registries.MODELS, registries.TASK_UTILS)
    elif path[0].endswith("_evaluator"):
        yield registries.EVALUATOR


def _with_averaged_model(
    arguments: Arguments, built: Any, node: dict, scope: str | None
) -> Arguments:
    """Add the arguments that MMEngine's EMA hook passes to the class of the averaged model."""
    if not (inspect.isclass(built) and issubclass(built, EMAHook)):
        return arguments
    kind = dict.get(node, "ema_type", "ExponentialMovingAverage")
    averaged = resolve_type(kind, registries.MODELS, scope)
    if averaged is None:
        return arguments
    passed = accepted_arguments(averaged)
    return Arguments(arguments.owner, passed.names | arguments.names, passed.is_open)


def _removed_before_building(path: Path) -> dict[str, Any]:
    """Return names that are removed from a dict before the rest is built."""
    if path == ("optim_wrapper",):
        return dict(constructor=_EMPTY, optimizer=dict, paramwise_cfg=dict | None)
    if path == ("train_cfg",):
        return dict(by_epoch=bool)
    if path[0] == "param_scheduler":
        return dict(convert_to_iter_based=bool)
    if path[-1] == "init_cfg":
        return dict(inflate=bool | list | tuple | None)  # of StrictPretrainedInit
    if path[-1].endswith("norm_cfg"):
        return dict(requires_grad=bool)
    if "policies" in path:
        return dict(magnitude_key=str, magnitude_range=_EMPTY)
    return dict(priority=_EMPTY) if path[0] in ("custom_hooks", "default_hooks") else {}
