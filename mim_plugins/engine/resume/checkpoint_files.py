"""Finding the checkpoint to go on from among files that may be corrupt."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...checkpoints import (
    allow_mmengine_checkpoints,
    check_training_state,
    find_corruption,
    has_digest,
)
from ...errors import CheckpointError

POINTER = "last_checkpoint"
_LONGEST_POINTER = 4096  # bytes, as the longest path
_LONGEST_NAME = 255  # bytes


class Choice(NamedTuple):
    """The checkpoint to resume from, if any, and what the user should know about it."""

    path: Path | None
    warnings: list[str]


class Progress(NamedTuple):
    """How far a checkpoint's run had come."""

    iteration: int
    epoch: int


def find_file_corruption(path: Path) -> str | None:
    """What is wrong with a checkpoint's bytes, all of which are read, or None."""
    try:
        with path.open("rb") as file:
            return find_corruption(file)
    except OSError as error:
        return f"the file cannot be read ({error.strerror or error})"


def read_structure(path: Path) -> dict[str, Any] | None:
    """A checked training checkpoint, or None for weights alone, which cannot be resumed.

    Only the structure is read; the tensors' values stay on the disk until they are used.

    Raises:
        CheckpointError: the file cannot be read, or holds anything but a training checkpoint.
    """
    allow_mmengine_checkpoints()  # other loaders may have taken it back
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # corrupt bytes end in errors of any kind
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # PyTorch's line about what is not plain data comes late
        reason = next((line.strip() for line in lines if "GLOBAL" in line), lines[0])
        raise CheckpointError(f"'{path}' cannot be read: {reason}") from error
    if type(checkpoint) is dict and not {"optimizer", "message_hub"} <= set(checkpoint):
        return None
    check_training_state(checkpoint, path)
    return checkpoint


def find_resumable(folder: Path, pointer: Path) -> Choice:
    """The newest checkpoint of a folder that is complete and intact.

    It is the one that ``pointer`` (``last_checkpoint``) names, or one that was completed after it;
    otherwise the file that was written last.

    Raises:
        CheckpointError: there are checkpoints, or there were, but none can be resumed from.
    """
    named, problem = _named_in(pointer, folder)
    if named is not None and named.is_dir():
        return Choice(named, [])  # deepspeed's; it checks its files itself
    progress, damaged = _survey(folder)
    by_time = sorted(progress, key=lambda file: (_time(file), progress[file]), reverse=True)
    for path in _ranked(by_time, progress, named):
        reason = find_file_corruption(path)
        if reason is None:
            return Choice(path, _warnings(pointer, problem, path, named, damaged))
        damaged[path] = reason
    if not damaged and not _exists(pointer):
        return Choice(None, [])
    lost = [f"{path}: {reason}" for path, reason in damaged.items()]
    if named is None:
        lost.append(f"{pointer} {problem}")
    elif named not in damaged:
        lost.append(f"{named}: named by {POINTER}, but not there or not a training checkpoint")
    raise CheckpointError(
        f"'{folder}' has checkpoints, but none that can be resumed from:\n  "
        + ";\n  ".join(lost)
        + ".\nStart anew with --overwrite in place of --resume, or in another --work-dir; or name a"
        " file with --resume FILE"
    )


def check_integrity(path: str) -> None:
    """Check a file that the user chose to resume from; addresses on the net are not checked.

    Raises:
        CheckpointError: it is missing or corrupt.
    """
    if "://" in path:
        return
    file = Path(path)
    if file.is_dir():
        raise CheckpointError(
            f"'{path}' is a folder: give --resume a file, or leave it without one and name the"
            " folder with --work-dir"
        )
    if not file.is_file():
        raise CheckpointError(f"there is no checkpoint '{path}' to resume from")
    reason = find_file_corruption(file)
    if reason is not None:
        raise CheckpointError(
            f"'{path}' is corrupt: {reason}. Resume from an older file, or let --resume without a"
            " file choose one"
        )


def best_in_folder(known: Any, folder: str) -> Any:
    """The best checkpoint so far, or those by metric, in ``folder``, wherever a file places it.

    It is removed when there is a better one, so it must be a checkpoint of this run.
    """
    if isinstance(known, dict):
        return {metric: best_in_folder(path, folder) for metric, path in known.items()}
    name = Path(known or "").name
    is_best = name.startswith("best_") and name.endswith(".pth")
    return f"{folder.rstrip('/')}/{name}" if is_best else None


def _survey(folder: Path) -> tuple[dict[Path, Progress], dict[Path, str]]:
    """Training checkpoints with their progress, and the unreadable ones with the reason."""
    progress, damaged = {}, {}
    for path in folder.glob("*.pth"):
        if not path.is_file():
            continue
        try:
            found = read_structure(path)
        except CheckpointError as error:
            damaged[path] = find_file_corruption(path) or str(error).removeprefix(f"'{path}' ")
            continue
        if found is not None:
            meta = found["meta"]
            progress[path] = Progress(meta["iter"], meta["epoch"])
        elif reason := _digest_differs(path):  # it may have been a training checkpoint
            damaged[path] = reason
    return progress, damaged


def _digest_differs(path: Path) -> str | None:
    with path.open("rb") as file:
        return find_corruption(file) if has_digest(file) else None


def _named_in(pointer: Path, folder: Path) -> tuple[Path | None, str]:
    """The file of ``folder`` that ``pointer`` names, or None and the reason."""
    if not _exists(pointer):
        return None, "is missing"
    if not pointer.is_file():
        return None, "is no regular file; remove it"
    try:
        with pointer.open("rb") as file:
            content = file.read(_LONGEST_POINTER + 1)
    except OSError as error:
        return None, f"cannot be read ({error.strerror or error})"
    text = content.decode(errors="replace").strip("\0 \r\n")
    if not text:
        return None, "is empty"
    # the folder may have been moved since
    name = text.replace("\\", "/").rpartition("/")[2]
    fits = len(content) <= _LONGEST_POINTER and len(name.encode()) <= _LONGEST_NAME
    if not (fits and name.endswith(".pth") and name.isprintable()):
        return None, "is corrupt: it names no .pth file"
    return folder / name, ""


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _time(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # removed, or no longer reachable; opening it gives the reason
        return 0


def _ranked(by_time: list[Path], progress: dict[Path, Progress], named: Path | None) -> list[Path]:
    """Files in the order in which they should be tried."""
    if named not in by_time:
        return by_time
    # a larger iteration alone may be of an earlier run in the same folder
    later = by_time[: by_time.index(named)]
    newer = [file for file in later if progress[file] > progress[named]]
    newer.sort(key=lambda file: progress[file], reverse=True)
    rest = [file for file in by_time if file not in newer and file != named]
    return [*newer, named, *rest]


def _warnings(
    pointer: Path, problem: str, chosen: Path, named: Path | None, damaged: dict[Path, str]
) -> list[str]:
    texts = [f"{path} is corrupt and left alone: {reason}" for path, reason in damaged.items()]
    if named is None:
        texts.append(f"{pointer} {problem}")
    elif named != chosen:
        texts.append(f"{pointer} names {named.name}")
    return [f"{text}; resuming from {chosen.name}" for text in texts]
