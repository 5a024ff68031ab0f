"""Position of a resumed run, converted to its number of iterations per epoch."""

from typing import Any, NamedTuple

from mmengine.dist import get_world_size
from mmengine.runner import IterBasedTrainLoop, Runner

from ...errors import CheckpointError
from ..batch_images import images_per_batch

POSITION = "position_in_epoch"
"""Message hub key of a dict with ``epoch``, its completed ``batches``, and ``of``.

The latter is the length of the first epoch. Some samplers yield epochs of different lengths.
"""
BATCH = "images_per_iteration"
"""Message hub key of the numbers of processes and of images per process."""


class ResumedPosition(NamedTuple):
    """Completed steps of the schedules of a resumed run."""

    iterations: int
    """Iterations, converted to this run's iterations per epoch."""
    epochs: int
    """Complete epochs; 0 in an iteration-based run."""
    epoch_length: int
    """Iterations per epoch of this run."""
    counts_epochs: bool = True
    """False in an iteration-based run."""


def convert_position(runner: Runner, checkpoint: dict) -> tuple[ResumedPosition, list[str]]:
    """Convert the position stored in a checkpoint to the iterations per epoch of this run.

    Args:
        runner: runner whose training loop is built.
        checkpoint: checkpoint whose epoch and iteration in ``meta`` are changed in place.

    Returns:
        The position, at most the end of this run, and a message for each change.

    Raises:
        CheckpointError: the checkpoint does not contain its iterations per epoch.
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
            f"the checkpoint is at the end of {unit} {done}, and this run ends after {end}: nothing"
            " is left to train"
        )
        # a corrupt file may contain any position, and schedules are stepped up to it
        last = end if unit == "iteration" else end * position.epoch_length
        position = position._replace(
            iterations=min(position.iterations, last), epochs=min(position.epochs, end)
        )
    return position, changes


def _length_change(runner: Runner, info: dict) -> list[str]:
    """Return a message if the configured length of the checkpoint's run differs."""
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        old, new, unit = info.get("max_iters"), runner.max_iters, "iteration"
    else:
        old, new, unit = info.get("max_epochs"), runner.max_epochs, "epoch"
        if old == 1 and POSITION not in info:
            return []  # MMEngine stores one epoch for an iteration-based run
    if not isinstance(old, int) or old == new:
        return []
    return [f"the checkpoint's run had {old} {unit}{'s' * (old != 1)}, this one has {new}"]


def images_per_iteration(loader: Any) -> dict[str, int | None]:
    """Return the value of :data:`BATCH` for a training loader."""
    return dict(processes=get_world_size(), images=images_per_batch(loader))


def _batch_change(runner: Runner, info: dict) -> list[str]:
    """Return a message if the checkpoint's run had other processes or another batch size."""
    old, new = info.get(BATCH), images_per_iteration(runner.train_dataloader)
    if not isinstance(old, dict) or old.keys() != new.keys():
        return []
    if not all(isinstance(each, int | None) for each in old.values()) or old == new:
        return []
    texts = [f"{each['processes']} * {each['images'] or 'unknown'}" for each in (old, new)]
    counts = [(each["processes"] or 0) * (each["images"] or 0) for each in (old, new)]
    if counts[0] == counts[1] != 0:
        # MMEngine's samplers distribute the images of one order in turn
        effect = "with other augmentation (and other images, unless the sampler is of MMEngine)"
    else:
        effect = "but not with the same images"
    return [
        f"the checkpoint's run read {texts[0]} images per iteration (processes * batch size), this"
        f" one {texts[1]}: it continues at the same iteration, {effect}"
    ]


def _in_iterations(runner: Runner, checkpoint: dict) -> tuple[ResumedPosition, list[str]]:
    meta, changes = checkpoint["meta"], _batch_change(runner, _runtime_info(checkpoint))
    if _runtime_info(checkpoint).pop(POSITION, None) is not None:
        changes.append(
            "the checkpoint's run counted epochs, this one counts iterations: it continues at"
            f" iteration {meta['iter']}"
        )
    meta["epoch"] = 0  # as in MMEngine's iteration loop throughout
    length = len(runner.train_dataloader)
    return ResumedPosition(meta["iter"], 0, length, counts_epochs=False), changes


def _in_epochs(runner: Runner, checkpoint: dict) -> tuple[ResumedPosition, list[str]]:
    meta, new = checkpoint["meta"], len(runner.train_dataloader)
    epoch, iteration = meta.get("epoch", 0), meta.get("iter", 0)
    old, batches = _saved_length(checkpoint, new)
    moved = epoch * new + min(batches, old) * new // old
    if POSITION in _runtime_info(checkpoint) and old == new and moved <= 2 * iteration <= 4 * moved:
        moved = iteration  # epochs of this run have different lengths
    changes = _batch_change(runner, _runtime_info(checkpoint)) if old == new else []
    if old != new:
        changes.append(
            f"the checkpoint's epochs have {old} iterations, this run's {new}: it continues at"
            " the same fraction of the run, but not with the same batches"
        )
    elif moved != iteration:
        changes.append(
            f"iteration {iteration} of the checkpoint is not in its epoch {epoch + 1}: the schedule"
            f" continues at iteration {moved}"
        )
    meta["iter"] = moved
    return ResumedPosition(moved, epoch, new), changes


def _saved_length(checkpoint: dict, new: int) -> tuple[int, int]:
    """Return the iterations per epoch of the checkpoint's run, and those of its last epoch."""
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
            f"--resume: the checkpoint (epoch {epoch}, iteration {iteration}) does not contain"
            f" its number of iterations per epoch, and this run has {new}: its run counted"
            " iterations, or used MMEngine's loop. Resume with train_cfg and batch size of that"
            " run, or load the weights alone (load_from)"
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
        and position["batches"] >= 0 < position["of"]
        and (position["batches"] <= position["of"] or position["epoch"] > 0)
    ):
        return position
    raise CheckpointError(
        f"--resume: the checkpoint's {POSITION} is {position!r}, which is not a valid position;"
        " resume from another file"
    )
