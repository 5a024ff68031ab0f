"""Steps whose checkpoints a hook keeps, in the message hub of a run with one or several hooks."""

from collections import deque
from collections.abc import Callable
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

KEPT_STEPS = "keep_ckpt_ids"
"""Message hub key of the steps, and the beginning of those of several hooks."""


def read_kept_steps(hook: Any, runner: Runner, prepare: Callable[[], Any]) -> str:
    """Let a checkpoint hook read the steps that it keeps itself, and return their key.

    All hooks of MMEngine use one key, so in a run of several, each would remove files of the
    numbers that another one has saved.

    Args:
        hook: the checkpoint hook, whose ``out_dir`` is that of the config.
        runner: runner of the run.
        prepare: MMEngine's method, which reads the steps and completes ``out_dir``.
    """
    info = runner.message_hub.runtime_info
    own_key = f"{KEPT_STEPS} {hook.out_dir or ''} {hook.filename_tmpl}"
    is_single = sum(isinstance(each, CheckpointHook) for each in runner.hooks) == 1
    key = own_key if own_key in info or not is_single else KEPT_STEPS
    shared, own = info.pop(KEPT_STEPS, None), info.get(own_key)
    if key == KEPT_STEPS:
        own = shared
    if own is not None:
        info[KEPT_STEPS] = own
    prepare()
    if key != KEPT_STEPS:
        info.pop(KEPT_STEPS, None)
        if shared is not None:
            info[KEPT_STEPS] = shared  # possibly of a hook of MMEngine
    if hook.max_keep_ckpts > 0:
        _add_resumed_step(hook, runner)
    return key


def _add_resumed_step(hook: Any, runner: Runner) -> None:
    """Add the step of the resumed position, which files of other hooks may lack."""
    step = runner.epoch if hook.by_epoch else runner.iter
    path = hook.file_backend.join_path(hook.out_dir, hook.filename_tmpl.format(step))
    if step and step not in hook.keep_ckpt_ids and hook.file_backend.isfile(path):
        # without a maximum, because the next save removes the oldest file
        hook.keep_ckpt_ids = deque([*hook.keep_ckpt_ids, step])
