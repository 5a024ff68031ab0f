"""Validation that a run was stopped before, made up where the schedule depends on it."""

import bisect
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop


def make_up_validation(loop: EpochBasedTrainLoop | IterBasedTrainLoop, steps: int) -> None:
    """Validate now if a scheduler lacks the metrics of the position that is resumed.

    A checkpoint is saved before the validation of the same epoch or iteration. MMEngine goes on
    without it, so that ``ReduceOnPlateauLR`` would count one epoch less.

    Args:
        loop: MMEngine's or one derived from it, at the position.
        steps: epochs or iterations that it has behind it, in the unit that it counts.
    """
    runner = loop.runner
    if runner.val_loop is None or not steps:
        return
    schedulers = runner.param_schedulers or []
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    by_metrics = [s for some in groups for s in some if getattr(s, "need_val_args", False)]
    if any(_lacks_one(each, loop, steps) for each in by_metrics):
        runner.logger.info("validating what the checkpoint was saved before: the schedule needs it")
        runner.val_loop.run()


def _lacks_one(scheduler: Any, loop: EpochBasedTrainLoop | IterBasedTrainLoop, steps: int) -> bool:
    in_epochs = isinstance(loop, EpochBasedTrainLoop)
    past = [step for step in range(1, steps + 1) if _is_validated(loop, step)]
    # in a run of iterations, MMEngine's count of epochs is 0 to the end
    counted = [
        step for step in past if scheduler.begin <= (step if in_epochs else 0) < scheduler.end
    ]
    return past[-1:] == [steps] and scheduler.last_step + 1 == len(counted) - 1


def _is_validated(loop: EpochBasedTrainLoop | IterBasedTrainLoop, step: int) -> bool:
    """Whether the loop validates after so many of its steps, not counting its last one."""
    place = bisect.bisect(loop.dynamic_milestones, step + 1) - 1
    return step >= loop.val_begin and step % loop.dynamic_intervals[place] == 0
