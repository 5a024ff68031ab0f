"""Position of a resumed run, in the iterations per epoch of the run that goes on."""

from typing import NamedTuple

from mmengine.runner import IterBasedTrainLoop, Runner

from ...errors import CheckpointError

POSITION = "position_in_epoch"
"""Key of a run's message hub for epoch, batches and iterations ``of`` it; see the epoch loop."""


class ResumedPosition(NamedTuple):
    """Steps that the schedules of a resumed run have behind them."""

    iterations: int
    """Iterations, counted in epochs of this run's length."""
    epochs: int
    """Complete epochs; 0 in a run that counts iterations."""
    epoch_length: int
    """Iterations of an epoch of this run."""


def move_position(runner: Runner, checkpoint: dict) -> tuple[ResumedPosition, list[str]]:
    """Move a checkpoint that is resumed to the same part of the run that goes on.

    Args:
        runner: its training loop is built.
        checkpoint: epoch and iteration in its ``meta`` are changed in place.

    Returns:
        The position, at most the end of this run, and a line for each change.

    Raises:
        CheckpointError: the checkpoint does not state at which part of an epoch it was saved.
    """
    length_change = _length_change(runner, _runtime_info(checkpoint))
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        position, changes = _in_iterations(runner, checkpoint)
        done, end, unit = position.iterations, runner.max_iters, "iteration"
    else:
        position, changes = _in_epochs(runner, checkpoint)
        done, end, unit = position.epochs, runner.max_epochs, "epoch"
    changes += length_change
    if done >= end:
        changes.append(
            f"the checkpoint is at the end of {unit} {done} and this run ends after {end}: nothing"
            " is left to train"
        )
    # a corrupt file may name any position, and schedules are stepped up to it
    last = end if unit == "iteration" else end * position.epoch_length
    return position._replace(
        iterations=min(position.iterations, last), epochs=min(position.epochs, end)
    ), changes


def _length_change(runner: Runner, info: dict) -> list[str]:
    """Return a line if the checkpoint's run was to be of another length."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        old, new, unit = info.get("max_iters"), runner.max_iters, "iteration"
    else:
        old, new, unit = info.get("max_epochs"), runner.max_epochs, "epoch"
        if old == 1 and POSITION not in info:
            return []  # MMEngine notes one epoch for a run that counts iterations
    if not isinstance(old, int) or old == new:
        return []
    return [f"the checkpoint's run had {old} {unit}{'s' * (old != 1)}, this one has {new}"]


def _in_iterations(runner: Runner, checkpoint: dict) -> tuple[ResumedPosition, list[str]]:
    meta, changes = checkpoint["meta"], []
    if _runtime_info(checkpoint).pop(POSITION, None) is not None:
        changes.append(
            "the checkpoint's run counted epochs, this one counts iterations: it goes on at"
            f" iteration {meta['iter']}"
        )
    meta["epoch"] = 0  # of MMEngine's iteration loop, up to its end
    length = len(runner.train_dataloader)
    return ResumedPosition(meta["iter"], 0, length), changes


def _in_epochs(runner: Runner, checkpoint: dict) -> tuple[ResumedPosition, list[str]]:
    meta, new = checkpoint["meta"], len(runner.train_dataloader)
    epoch, iteration = meta.get("epoch", 0), meta.get("iter", 0)
    old, batches = _saved_length(checkpoint, new)
    moved = epoch * new + batches * new // old
    changes = []
    if old != new:
        changes.append(
            f"the checkpoint's epochs have {old} iterations, this run's {new}: it goes on at the"
            " same part of the run, but not with the same batches"
        )
    elif moved != iteration:
        changes.append(
            f"iteration {iteration} of the checkpoint is none of its epoch {epoch + 1}: the"
            f" schedule goes on at iteration {moved}"
        )
    meta["iter"] = moved
    return ResumedPosition(moved, epoch, new), changes


def _saved_length(checkpoint: dict, new: int) -> tuple[int, int]:
    """Return the iterations per epoch of the checkpoint's run, and those done in its epoch."""
    info = _runtime_info(checkpoint)
    epoch, iteration = (checkpoint["meta"].get(key, 0) for key in ("epoch", "iter"))
    if POSITION in info:
        position = _checked(info[POSITION])
        return position["of"], position["batches"] if position["epoch"] == epoch else 0
    # saved by another loop
    epochs, iterations = info.get("max_epochs"), info.get("max_iters")
    if isinstance(epochs, int) and isinstance(iterations, int) and epochs >= 1 <= iterations:
        old = iterations // epochs
        is_certain = old == new or epochs > 1 or epoch > 0 or iteration == 0
    else:
        fitting = {new} if epoch * new <= iteration <= (epoch + 1) * new else set()
        if epoch and iteration % epoch == 0:
            fitting.add(iteration // epoch)
        is_certain, old = len(fitting) == 1, max(fitting, default=new)
    if not is_certain:
        raise CheckpointError(
            f"--resume: the checkpoint (epoch {epoch}, iteration {iteration}) does not state how"
            f" many iterations its epochs had, and this run's have {new}: its run counted"
            " iterations, or was MMEngine's. Resume with train_cfg and batch of that run, or take"
            " the weights alone (load_from)"
        )
    batches = iteration - epoch * old
    return old, batches if 0 <= batches <= old else 0


def _runtime_info(checkpoint: dict) -> dict:
    return (checkpoint.get("message_hub") or {}).get("runtime_info", {})


def _checked(position: object) -> dict[str, int]:
    keys = ("epoch", "batches", "of")
    if (
        isinstance(position, dict)
        and all(type(position.get(key)) is int for key in keys)
        and 0 <= position["batches"] <= position["of"] > 0
    ):
        return position
    raise CheckpointError(
        f"--resume: the checkpoint's {POSITION} is {position!r}, which the training loop did not"
        " write; resume from another file"
    )
