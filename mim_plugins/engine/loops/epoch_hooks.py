"""Calls of the hooks at the start and the end of an epoch."""

from mmengine.runner import Runner

from ...randomness import seed_generators
from .resumable_data_loader import iteration_key

_STAGES = ("before_train_epoch", "after_train_epoch")
_HOOKS = 2**32 - 3  # last number of the key but one; validations and orders have the next ones


def call_epoch_hooks(runner: Runner, stage: str) -> None:
    """Call the hooks of a stage, with random numbers that do not depend on interruptions.

    They depend on the seed, the rank (if ``randomness.diff_rank_seed`` is set) and the epoch, which
    a resumed run begins or ends without the iterations that precede the stage.

    Args:
        runner: runner of a training loop.
        stage: ``before_train_epoch`` or ``after_train_epoch``.
    """
    seed, rank, _ = iteration_key(runner)
    seed_generators(seed, rank, runner.epoch, _HOOKS, _STAGES.index(stage), cuda=True)
    runner.call_hook(stage)
