"""Parts that runs on own images have in common: batch, work folder and config file."""

from pathlib import Path
from typing import Any

from ..checkpoints import write_atomically
from ..errors import WorkDirError
from ..file_names import printable
from .commands.names import PROGRAM
from .labeled_survey import LabeledSurvey

_UPDATES_PER_EPOCH = 4  # at least, for the smallest data
_LOGS_PER_EPOCH = 12
_LONGEST_LOG_INTERVAL = 10  # iterations; an iteration on a CPU takes seconds
_CHECKPOINTS = 10
_NEIGHBORS = 20
WRITTEN_BY = f"written by {PROGRAM}"
"""Part of the first line of a config of a run on own images."""


def automatic_batch(images: int, smallest: int, largest: int) -> int:
    """Return the number of images per iteration: ``smallest``, doubled as often as possible."""
    batch = smallest
    while batch * 2 <= min(images // _UPDATES_PER_EPOCH, largest):
        batch *= 2
    return batch


def automatic_epochs(steps: int, updates: int, limits: tuple[int, int]) -> int:
    """Return a number of epochs, of ``steps`` iterations each, for about ``updates`` iterations."""
    low, high = limits
    return min(max(updates // steps, low), high)


def reporting_hooks(steps: int, epochs: int) -> dict[str, dict]:
    """Return the settings of the log and checkpoint hooks for epochs of ``steps`` iterations.

    The first line of the log, which shows that the run works, comes after few iterations.
    """
    log = min(max(steps // _LOGS_PER_EPOCH, 1), _LONGEST_LOG_INTERVAL)
    return dict(logger=dict(interval=log), checkpoint=dict(interval=max(epochs // _CHECKPOINTS, 1)))


def evaluation_hook(labeled: LabeledSurvey, epochs: int, workers: int) -> dict[str, Any]:
    """Return the hook that evaluates the features on labeled images, as often as is saved."""
    return dict(
        type="mim_plugins.KNNHook",
        references=dict(data_root=labeled.root, data_prefix="train"),
        queries=dict(data_root=labeled.root, data_prefix="val"),
        interval=max(epochs // _CHECKPOINTS, 1),
        k=min(_NEIGHBORS, labeled.images),
        num_workers=workers,
    )


def safe_name(name: str) -> str:
    """Return a name for a work folder that needs no quotation marks in a shell."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name) or "data"


def config_path(out: Path) -> Path:
    """Return the path of the config of the run in a work folder."""
    return out.with_name(f"{out.name}.py")


def check_out(out: Path, overwrite: bool) -> None:
    """Check that a work folder contains no run, or that it may be replaced.

    Raises:
        WorkDirError: it contains checkpoints, or its path does not end in a name.
    """
    if out.name in ("", ".."):
        raise WorkDirError(
            f"out '{printable(out)}' must end in the name of a folder, because the config of the"
            " run is written beside it: such as --out work_dirs/run"
        )
    if not overwrite and any(out.glob("*.pth")):
        folder = printable(out)
        raise WorkDirError(
            f"out '{folder}' has checkpoints of an earlier run: continue it with {PROGRAM} resume"
            f" {folder}, replace it with --overwrite, or choose another folder with --out"
        )


def write_config(out: Path, text: str, overwrite: bool) -> Path:
    """Write the config of the run in a work folder, and return its path.

    Raises:
        WorkDirError: it cannot be written, or the file exists and is not a config of this program,
            or has other content and ``overwrite`` is False.
    """
    path = config_path(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_existing(path, text, overwrite)
        write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise WorkDirError(
            f"out '{printable(out)}': {error.strerror}; choose another folder with --out"
        ) from error
    return path


def _check_existing(path: Path, text: str, overwrite: bool) -> None:
    """Refuse to replace a file that somebody else wrote, or may have changed."""
    if not path.exists():
        return
    found = path.read_text(encoding="utf-8", errors="replace")
    if found == text:
        return
    if WRITTEN_BY not in found.partition("\n")[0]:
        raise WorkDirError(
            f"'{printable(path)}' was not written by {PROGRAM}, so it is not replaced; choose"
            " another folder with --out"
        )
    if not overwrite:
        raise WorkDirError(
            f"'{printable(path)}' has other settings: train it with tools/train.py, replace it with"
            " --overwrite, or choose another folder with --out"
        )
