"""Guards around the metrics of a training's validation, some of which write files."""

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner

from .guarded_writes import try_writing

_GUARDED = "_mim_plugins_guarded"
_FAILED = "_mim_plugins_failed"


def guard_metrics(runner: Runner) -> None:
    """Let a metric that cannot write its file fail alone instead of ending the training.

    Such a metric has no result for this validation, because a result on part of the images would be
    wrong. Files that several processes exchange are not guarded: without them, all would wait.
    """
    evaluator = getattr(getattr(runner, "_val_loop", None), "evaluator", None)
    for metric in evaluator.metrics if isinstance(evaluator, Evaluator) else ():
        if not hasattr(metric, _GUARDED):
            setattr(metric, _GUARDED, True)
            _guard(metric, runner)


def failed_metrics(runner: Runner, results: Mapping, names: Iterable[str]) -> bool:
    """Return whether some results are missing because a metric could not write its file."""
    evaluator = getattr(getattr(runner, "_val_loop", None), "evaluator", None)
    metrics = evaluator.metrics if isinstance(evaluator, Evaluator) else ()
    has_failed = any(getattr(metric, _FAILED, False) for metric in metrics)
    return has_failed and not set(names) <= results.keys()


def _guard(metric: Any, runner: Runner) -> None:
    process, compute = metric.process, metric.compute_metrics
    name = f"the output of {type(metric).__name__}"
    state = dict(failed=False)

    def guarded_process(*args: Any, **kwargs: Any) -> None:
        state["failed"] |= not try_writing(runner.logger, name, lambda: process(*args, **kwargs))

    def guarded_compute(results: list) -> dict:
        found: list[dict] = []
        if not state["failed"]:
            done = try_writing(runner.logger, name, lambda: found.append(compute(results)))
            state["failed"] = not done
        setattr(metric, _FAILED, state["failed"])
        state["failed"] = False
        return found[0] if found else {}

    if get_world_size() == 1:  # with more, a failure would not reach the main process
        metric.process = guarded_process
    metric.compute_metrics = guarded_compute
