"""Validations of training loops, including one that was missed before the run was resumed."""

import bisect
from typing import Any

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from ...randomness import preserved_random_state, seed_generators
from .resumable_data_loader import iteration_key

VALIDATED = "last_validation"
"""Message hub key of the last validated step, in the unit that the loop counts.

MMEngine logs entries whose keys begin with train, val or test beside the metrics.
"""

_VALIDATION = 2**32 - 2  # last number of the key; orders of batches have the next one


def run_due_validation(loop: EpochBasedTrainLoop | IterBasedTrainLoop, step: int) -> None:
    """Validate if the loop validates after ``step``.

    Random numbers of the validation, such as masks, depend on the seed, the rank (if
    ``randomness.diff_rank_seed`` is set) and the iteration, so a missed validation has the same.

    Args:
        loop: MMEngine's training loop or a subclass.
        step: completed epochs or iterations, in the unit that the loop counts.
    """
    runner = loop.runner
    if runner.val_loop is not None and _is_due(loop, step):
        # before the validation, because the checkpoint hook saves again after a better one
        runner.message_hub.update_info(VALIDATED, step)
        with preserved_random_state():
            seed_generators(*iteration_key(runner), _VALIDATION, cuda=True)
            runner.val_loop.run()


def run_missed_validation(loop: EpochBasedTrainLoop | IterBasedTrainLoop, step: int) -> None:
    """Run the validation of the resumed position unless the checkpoint contains its result.

    A checkpoint is saved before the validation of the same epoch or iteration. MMEngine skips that
    validation when it resumes, so its metrics, the best checkpoint, and the counts of
    ``ReduceOnPlateauLR`` and ``EarlyStoppingHook`` would lack it.

    Args:
        loop: MMEngine's training loop or a subclass, at the resumed position.
        step: completed epochs or iterations, in the unit that the loop counts.
    """
    runner = loop.runner
    if runner.val_loop is None or not step or not _is_due(loop, step) or _is_done(loop, step):
        return
    runner.logger.info("validating the resumed position, because the checkpoint lacks its result")
    run_due_validation(loop, step)


def _is_done(loop: EpochBasedTrainLoop | IterBasedTrainLoop, step: int) -> bool:
    runner = loop.runner
    if runner.message_hub.runtime_info.get(VALIDATED) == step:
        return True
    # MMEngine's loops store no step, but their schedulers count
    schedulers = runner.param_schedulers or []
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    by_metrics = [s for some in groups for s in some if getattr(s, "need_val_args", False)]
    return any(_has_counted(each, loop, step) for each in by_metrics)


def _has_counted(scheduler: Any, loop: EpochBasedTrainLoop | IterBasedTrainLoop, step: int) -> bool:
    in_epochs = isinstance(loop, EpochBasedTrainLoop)
    # MMEngine's iteration loop counts 0 epochs throughout
    counted = [
        each
        for each in range(1, step + 1)
        if _is_due(loop, each) and scheduler.begin <= (each if in_epochs else 0) < scheduler.end
    ]
    return counted[-1:] == [step] and scheduler.last_step + 1 == len(counted)


def _is_due(loop: EpochBasedTrainLoop | IterBasedTrainLoop, step: int) -> bool:
    """Return whether the loop validates after ``step``."""
    end = loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else loop.max_iters
    interval = loop.dynamic_intervals[bisect.bisect(loop.dynamic_milestones, step + 1) - 1]
    return step >= loop.val_begin and (step % interval == 0 or step == end)
