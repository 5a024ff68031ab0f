"""Guards around the output of MMEngine's runner: log file, scalars, pictures."""

import logging
from collections.abc import Callable
from typing import Any

from mmengine.hooks import Hook, LoggerHook, ProfilerHook
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from .guarded_file_handler import GuardedFileHandler
from .guarded_vis_backend import GuardedVisBackend
from .guarded_writes import WRITE_ERRORS, try_writing


def guard_writers(runner: Runner) -> None:
    """Guard a runner's log file, visualization backends and hooks that only report.

    Further calls change nothing.
    """
    guard_log_file(runner.logger)
    guard_backends(runner.visualizer, runner.logger)
    for hook in runner.hooks:
        if _only_reports(hook):
            _guard_hook(hook, runner.logger)


def guard_log_file(logger: logging.Logger) -> None:
    """Replace the plain file handlers of a logger with :class:`GuardedFileHandler`."""
    for position, handler in enumerate(logger.handlers):
        if type(handler) is not logging.FileHandler:
            continue
        guarded = GuardedFileHandler(handler.baseFilename, logger)
        guarded.setFormatter(handler.formatter)
        guarded.setLevel(handler.level)
        guarded.filters = handler.filters
        logger.handlers[position] = guarded
        handler.close()


def guard_backends(visualizer: Visualizer, logger: logging.Logger) -> None:
    """Wrap each backend of a visualizer in a :class:`GuardedVisBackend`."""
    # the constructor's argument is not used: MMEngine keys backends by class name
    backends = visualizer._vis_backends
    for name, backend in backends.items():
        if not isinstance(backend, GuardedVisBackend):
            backends[name] = GuardedVisBackend(backend, logger)


def _only_reports(hook: Hook) -> bool:
    # mmpretrain, mmdet and mmseg each have such a hook, which draws predictions
    draws = type(hook).__name__.endswith("VisualizationHook")
    return draws or isinstance(hook, LoggerHook | ProfilerHook)


def _guard_hook(hook: Hook, logger: logging.Logger) -> None:
    for stage in Hook.stages:
        # an error in a before_* stage comes from the config
        if stage.startswith("after_") and stage not in vars(hook):
            # the run is complete: no error may fail it any more
            errors = (Exception,) if stage == "after_run" else WRITE_ERRORS
            setattr(hook, stage, _guarded(getattr(hook, stage), hook, logger, errors))


def _guarded(
    method: Callable[..., Any],
    hook: Hook,
    logger: logging.Logger,
    errors: tuple[type[Exception], ...],
) -> Callable[..., None]:
    def guarded(*args: Any, **kwargs: Any) -> None:
        name = f"the output of {type(hook).__name__}"
        try_writing(logger, name, lambda: method(*args, **kwargs), errors)

    return guarded
