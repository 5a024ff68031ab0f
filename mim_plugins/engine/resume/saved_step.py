"""Position of a regular checkpoint in its run."""

from typing import NamedTuple

from mmengine.runner import Runner


class SavedStep(NamedTuple):
    """Number in the name of a checkpoint, and completed epochs and iterations of its run."""

    step: int
    epoch: int
    iteration: int

    def meta(self) -> dict[str, int]:
        """Return the position as MMEngine stores it."""
        return dict(epoch=self.epoch, iter=self.iteration)


def last_step(runner: Runner, by_epoch: bool, tried: SavedStep | None) -> SavedStep:
    """Return the position at the end of the training.

    Args:
        runner: runner whose loop has ended.
        by_epoch: whether names of checkpoints count epochs.
        tried: position of the last save, if any.
    """
    if tried is not None and tried.iteration == runner.iter:
        return tried  # in iteration-based loops, the number of epochs differs from its name
    return SavedStep(runner.epoch if by_epoch else runner.iter, runner.epoch, runner.iter)


def split_steps(steps: list[int], step: int, most: int) -> tuple[list[int], list[int]]:
    """Return the steps to keep when ``step`` is saved, and the outdated ones.

    Args:
        steps: saved steps, oldest first.
        step: the step to save.
        most: number of steps to keep; not positive to keep all.
    """
    kept = [*(old for old in steps if old != step), step]
    return (kept[-most:], kept[:-most]) if most > 0 else (kept, [])
