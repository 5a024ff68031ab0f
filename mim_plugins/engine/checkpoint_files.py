"""Finding the checkpoint to go on from among files that may be damaged."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import torch

from ..checkpoints import CheckpointError, allow_mmengine_checkpoints

POINTER = "last_checkpoint"


class Choice(NamedTuple):
    """The checkpoint to resume from, if any, and what the user should know about it."""

    path: Path | None
    warnings: list[str]


class Progress(NamedTuple):
    """How far a checkpoint's run had come."""

    iteration: int
    epoch: int


def find_damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's bytes, or None.

    PyTorch's files are zip archives with a checksum (CRC-32) of each tensor, which PyTorch itself
    does not check when it loads: flipped bytes would go unnoticed. This reads the whole file.
    """
    if path.stat().st_size == 0:
        return "the file is empty"
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        return f"the file is truncated or overwritten ({error})"
    return None if damaged is None else f"the checksum of its record '{damaged}' does not match"


def read_progress(path: Path) -> Progress | None:
    """How far a training checkpoint had come; None for weights alone, which cannot be resumed.

    Only the structure is read, no tensor.

    Raises:
        CheckpointError: the file cannot be read, or holds anything but plain data.
    """
    allow_mmengine_checkpoints()  # other loaders may have taken it back
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if "optimizer" not in checkpoint or "message_hub" not in checkpoint:
            return None
        return Progress(int(checkpoint["meta"]["iter"]), int(checkpoint["meta"]["epoch"]))
    except Exception as error:  # damaged bytes end in errors of any kind
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # PyTorch's line about what is not plain data comes late
        reason = next((line.strip() for line in lines if "GLOBAL" in line), lines[0])
        raise CheckpointError(f"'{path}' cannot be read: {reason}") from error


def choose_checkpoint(folder: Path, pointer: Path) -> Choice:
    """The newest checkpoint of a folder that is whole.

    It is the one that ``pointer`` (``last_checkpoint``) names, or one that was completed after it;
    otherwise the file that was written last.

    Raises:
        CheckpointError: there are checkpoints, or there were, but none can be resumed from.
    """
    named = _named_in(pointer, folder)
    if named is not None and named.is_dir():
        return Choice(named, [])  # deepspeed's; it checks its files itself
    progress, damaged = _survey(folder)
    by_time = sorted(progress, key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for path in _ranked(by_time, progress, named):
        reason = find_damage(path)
        if reason is None:
            return Choice(path, _warnings(pointer, path, named, damaged))
        damaged[path] = reason
    if named is None and not damaged:
        return Choice(None, [])
    lost = [f"{path}: {reason}" for path, reason in damaged.items()]
    if named is not None and named not in damaged:
        lost.append(f"{named}: named by {POINTER}, but not there or not a training checkpoint")
    raise CheckpointError(
        f"'{folder}' has checkpoints, but none that can be resumed from:\n  "
        + ";\n  ".join(lost)
        + ".\nStart again without --resume or in another --work-dir, or name a file with"
        " --resume FILE"
    )


def require_whole(path: str) -> None:
    """Check a file that the user chose to resume from; addresses on the net are not checked.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    if "://" in path:
        return
    file = Path(path)
    if not file.is_file():
        raise CheckpointError(f"there is no checkpoint '{path}' to resume from")
    reason = find_damage(file)
    if reason is not None:
        raise CheckpointError(
            f"'{path}' is damaged: {reason}. Resume from an older file, or let --resume without a"
            " file choose one"
        )


def _survey(folder: Path) -> tuple[dict[Path, Progress], dict[Path, str]]:
    """Training checkpoints with their progress, and the unreadable ones with the reason."""
    progress, damaged = {}, {}
    for path in folder.glob("*.pth"):
        if not path.is_file():
            continue
        try:
            found = read_progress(path)
        except CheckpointError as error:
            damaged[path] = find_damage(path) or str(error)
            continue
        if found is not None:
            progress[path] = found
    return progress, damaged


def _named_in(pointer: Path, folder: Path) -> Path | None:
    text = pointer.read_text(errors="replace").strip("\0 \n") if pointer.is_file() else ""
    # the folder may have been moved since
    return folder / Path(text).name if text else None


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
    pointer: Path, chosen: Path, named: Path | None, damaged: dict[Path, str]
) -> list[str]:
    texts = [f"{path} is damaged and left alone: {reason}" for path, reason in damaged.items()]
    if named is None:
        texts.append(f"{pointer} is missing or empty")
    elif named != chosen:
        texts.append(f"{pointer} names {named.name}")
    return [f"{text}; resuming from {chosen.name}" for text in texts]
