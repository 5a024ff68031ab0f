"""Continuation of a run that its launcher has restarted."""

import os
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from ..engine.hooks.restart_hook import LAUNCH_VARIABLE, RestartHook, read_restarts
from ..engine.resume.checkpoint_files import POINTER
from .global_batch import keep_batch_of_run
from .work_dir import earlier_checkpoints

_NO_ID = "none"  # torchrun's default
_VARIABLES = dict(
    pytorch=LAUNCH_VARIABLE,
    slurm="MIM_PLUGINS_LAUNCH",  # set by tools/slurm_train.sh
)


def launch_id(launcher: str | None) -> str | None:
    """Return the id of a launch that can restart its processes, otherwise None.

    Args:
        launcher: launcher of the config. Other programs may have inherited its variable.
    """
    launch = os.environ.get(_VARIABLES.get(str(launcher), ""), _NO_ID)
    return None if launch == _NO_ID else launch


def resume_if_restarted(cfg: Config) -> bool:
    """Continue from the newest complete checkpoint if this launch has trained in the work folder.

    ``--resume FILE`` and ``load_from`` also apply to a restart as long as the run has no
    checkpoint.

    Returns:
        Whether this is a restart.
    """
    launch = launch_id(cfg.get("launcher"))
    if launch is None or read_restarts(cfg.work_dir).get("launch") != launch:
        return False
    resume_newest(cfg)
    return True


def resume_newest(cfg: Config) -> None:
    """Continue from the newest checkpoint; without any, start from the weights of ``load_from``."""
    if cfg.get("load_from") is None or _has_checkpoints(cfg):
        cfg.resume, cfg.load_from = True, None


def _has_checkpoints(cfg: Config) -> bool:
    return bool(earlier_checkpoints(cfg)) or Path(cfg.work_dir, POINTER).exists()


def keep_global_batch(cfg: Config) -> str | None:
    """Keep the global batch of a restarted run on another number of processes.

    Returns:
        A message if anything changed or the batch cannot be kept, otherwise None.

    Raises:
        GlobalBatchError: no batch size per process gives the global batch.
    """
    batch = read_restarts(cfg.work_dir).get("global_batch")
    return keep_batch_of_run(cfg, batch) if batch else None


def report_restarts(runner: Runner) -> None:
    """Add the hook that logs restarts, if the launcher can restart this run."""
    launch = launch_id(runner.launcher)
    if launch is not None:
        runner.register_hook(RestartHook(launch))
