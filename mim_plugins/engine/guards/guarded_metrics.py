"""Guards around the metrics of a training's validation, some of which write files."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.evaluator import Evaluator
from mmengine.hooks import EarlyStoppingHook, Hook, ParamSchedulerHook
from mmengine.runner import Runner

from .guarded_writes import try_writing

_COUNT = "_mim_plugins_results"  # number of results of the last validation, None after a failure
_FAILED = "_mim_plugins_failed"


def guard_metrics(runner: Runner) -> None:
    """Let a metric that cannot write its file fail alone instead of ending the training.

    Such a metric has no result for this validation, because a result on part of the images would be
    wrong. Early stopping and schedulers that monitor it skip this validation. Files that several
    processes exchange are not guarded: without them, all would wait.
    """
    for metric in _metrics(runner):
        if not hasattr(metric, _COUNT):
            setattr(metric, _COUNT, 0)
            _guard(metric, runner)
    for hook in runner.hooks:
        reads = isinstance(hook, EarlyStoppingHook | ParamSchedulerHook)
        if reads and "after_val_epoch" not in vars(hook):
            _guard_reader(hook)


def failed_metrics(runner: Runner, results: Mapping, names: Iterable[str]) -> bool:
    """Return whether some results are missing because a metric could not write its file.

    The name ``auto`` is that of the first result.
    """
    counts = [getattr(metric, _COUNT, 0) for metric in _metrics(runner)]
    if None not in counts:
        return False
    if "auto" in names:
        return next(count for count in counts if count != 0) is None
    return not set(names) <= results.keys()


def _metrics(runner: Runner) -> list[Any]:
    evaluator = getattr(getattr(runner, "_val_loop", None), "evaluator", None)
    return evaluator.metrics if isinstance(evaluator, Evaluator) else []


def _guard(metric: Any, runner: Runner) -> None:
    process, compute, evaluate = metric.process, metric.compute_metrics, metric.evaluate
    name = f"the output of {type(metric).__name__}"
    state = dict(failed=False)

    def guarded_process(*args: Any, **kwargs: Any) -> None:
        state["failed"] |= not try_writing(runner.logger, name, lambda: process(*args, **kwargs))

    def guarded_compute(results: list) -> dict:
        found: list[dict] = []
        if not state["failed"]:
            try_writing(runner.logger, name, lambda: found.append(compute(results)))
        state["failed"] = False
        return found[0] if found else {_FAILED: True}

    def guarded_evaluate(*args: Any, **kwargs: Any) -> dict:
        # only the main process computes; MMEngine adds a prefix and sends the results to the others
        results = evaluate(*args, **kwargs)
        failed = any(str(key).endswith(_FAILED) for key in results)
        setattr(metric, _COUNT, None if failed else len(results))
        return {} if failed else results

    if get_world_size() == 1:  # with more, a failure would not reach the main process
        metric.process = guarded_process
    metric.compute_metrics, metric.evaluate = guarded_compute, guarded_evaluate


def _guard_reader(hook: Hook) -> None:
    """Let a hook skip the results that are missing because a metric could not write its file."""
    read = hook.after_val_epoch

    def guarded(runner: Runner, metrics: dict[str, float] | None = None) -> None:
        def lacks(reader: Any) -> bool:
            name = getattr(reader, "monitor", None)
            return name is not None and failed_metrics(runner, metrics or {}, [name])

        if lacks(hook):
            return
        schedulers = runner.param_schedulers
        runner.param_schedulers = _without(schedulers, lacks)
        try:
            read(runner, metrics)
        finally:
            runner.param_schedulers = schedulers

    hook.after_val_epoch = guarded  # type: ignore[method-assign]


def _without(schedulers: Any, lacks: Callable[[Any], bool]) -> Any:
    if isinstance(schedulers, dict):
        return {name: _without(some, lacks) for name, some in schedulers.items()}
    return [each for each in schedulers or () if not lacks(each)]
