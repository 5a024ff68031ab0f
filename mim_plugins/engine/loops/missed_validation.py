"""Validation of a resumed position, run if the learning-rate schedule depends on it."""

import bisect
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop


def run_missed_validation(loop: EpochBasedTrainLoop | IterBasedTrainLoop, steps: int) -> None:
    """Run the validation of the resumed position if a scheduler lacks its metrics.

    A checkpoint is saved before the validation of the same epoch or iteration. MMEngine skips that
    validation when it resumes, so ``ReduceOnPlateauLR`` would count one epoch less.

    Args:
        loop: MMEngine's training loop or a subclass, at the resumed position.
        steps: completed epochs or iterations, in the unit that the loop counts.
    """
    runner = loop.runner
    if runner.val_loop is None or not steps:
        return
    schedulers = runner.param_schedulers or []
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    by_metrics = [s for some in groups for s in some if getattr(s, "need_val_args", False)]
    if any(_lacks_one(each, loop, steps) for each in by_metrics):
        runner.logger.info("validating the resumed position: the schedule needs its metrics")
        runner.val_loop.run()


def _lacks_one(scheduler: Any, loop: EpochBasedTrainLoop | IterBasedTrainLoop, steps: int) -> bool:
    in_epochs = isinstance(loop, EpochBasedTrainLoop)
    past = [step for step in range(1, steps + 1) if _is_validated(loop, step)]
    # MMEngine's iteration loop counts 0 epochs throughout
    counted = [
        step for step in past if scheduler.begin <= (step if in_epochs else 0) < scheduler.end
    ]
    return past[-1:] == [steps] and scheduler.last_step + 1 == len(counted) - 1


def _is_validated(loop: EpochBasedTrainLoop | IterBasedTrainLoop, step: int) -> bool:
    """Return whether the loop validates after ``step``, apart from its last step."""
    index = bisect.bisect(loop.dynamic_milestones, step + 1) - 1
    return step >= loop.val_begin and step % loop.dynamic_intervals[index] == 0
