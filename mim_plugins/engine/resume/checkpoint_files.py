"""Search for the checkpoint to resume from among files that may be corrupt."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...checkpoints import check_training_state, find_corruption, has_digest, plain_data_only
from ...errors import CheckpointError

POINTER = "last_checkpoint"
_LONGEST_POINTER = 4096  # bytes, as the longest path
_LONGEST_NAME = 255  # bytes


class Choice(NamedTuple):
    """Checkpoint to resume from, if any, and warnings for the user."""

    path: Path | None
    warnings: list[str]


class Progress(NamedTuple):
    """Training progress stored in a checkpoint."""

    iteration: int
    epoch: int


def find_file_corruption(path: Path) -> str | None:
    """Read a checkpoint completely and describe its corruption, None if it is intact."""
    try:
        with path.open("rb") as file:
            return find_corruption(file)
    except OSError as error:
        return f"the file cannot be read ({error.strerror or error})"


def read_structure(path: Path) -> dict[str, Any] | None:
    """Read and check a training checkpoint; return None for a file of weights alone.

    Only the structure is read: the memory-mapped tensors stay on the disk until they are used.

    Raises:
        CheckpointError: the file cannot be read, or is not a valid training checkpoint.
    """
    try:
        with plain_data_only():
            checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # corrupt bytes raise exceptions of any kind
        lines = str(error).strip().splitlines() or [type(error).__name__]
        # in PyTorch's message, the refused class is in one of the later lines
        reason = next((line.strip() for line in lines if "GLOBAL" in line), lines[0])
        raise CheckpointError(f"'{path}' cannot be read: {reason}") from error
    if type(checkpoint) is dict and not {"optimizer", "message_hub"} <= set(checkpoint):
        return None
    check_training_state(checkpoint, path)
    return checkpoint


def find_resumable(folder: Path, pointer: Path) -> Choice:
    """Find the newest complete and intact checkpoint of a folder.

    It is the file named in ``pointer`` (``last_checkpoint``) or a file of later progress written
    after it. Without a valid pointer, it is the file written last.

    Raises:
        CheckpointError: checkpoints or a pointer exist, but no file can be resumed from.
    """
    named, problem = _read_pointer(pointer, folder)
    if named is not None and named.is_dir():
        if any(named.glob("*_states.pt")):
            return Choice(named, [])  # DeepSpeed's format, which has its own checks
        named, problem = None, f"names a folder, '{named}', that is not a checkpoint"
    progress, corrupt = _read_folder(folder)
    by_time = sorted(progress, key=lambda file: (_time(file), progress[file]), reverse=True)
    for path in _by_preference(by_time, progress, named):
        reason = find_file_corruption(path)
        if reason is None:
            return Choice(path, _warnings(pointer, problem, path, named, corrupt))
        corrupt[path] = reason
    if not corrupt and not _exists(pointer):
        return Choice(None, [])
    problems = [f"{path}: {reason}" for path, reason in corrupt.items()]
    if named is None:
        problems.append(f"{pointer} {problem}")
    elif named not in corrupt:
        reason = "contains no optimizer (save_optimizer=False)" if named.exists() else "is missing"
        problems.append(f"{named}: named by {POINTER}, but {reason}")
    raise CheckpointError(
        f"'{folder}' has checkpoints, but none can be resumed from:\n  "
        + ";\n  ".join(problems)
        + ".\nStart a new run with --overwrite instead of --resume, or in another --work-dir; or"
        " choose a file with --resume FILE"
    )


def check_integrity(path: str) -> None:
    """Check the file that the user chose to resume from; URLs are not checked.

    Raises:
        CheckpointError: the file is missing or corrupt.
    """
    if "://" in path:
        return
    file = Path(path)
    if file.is_dir():
        raise CheckpointError(
            f"'{path}' is a folder: use --resume FILE, or --resume without a file and the folder as"
            " --work-dir"
        )
    if not file.is_file():
        raise CheckpointError(f"there is no checkpoint '{path}' to resume from")
    reason = find_file_corruption(file)
    if reason is not None:
        raise CheckpointError(
            f"'{path}' is corrupt: {reason}. Resume from an older file, or use --resume without a"
            " file to choose the newest intact one"
        )


def best_in_folder(known: Any, folder: str) -> Any:
    """Move the path of the best checkpoint, or the paths by metric, into ``folder``.

    The hook removes the file when a better one is saved, so a path read from a checkpoint must not
    point outside the folder of the run. A name that is not ``best_*.pth`` becomes None.
    """
    if isinstance(known, dict):
        return {metric: best_in_folder(path, folder) for metric, path in known.items()}
    name = Path(known or "").name
    is_best = name.startswith("best_") and name.endswith(".pth")
    return f"{folder.rstrip('/')}/{name}" if is_best else None


def _read_folder(folder: Path) -> tuple[dict[Path, Progress], dict[Path, str]]:
    """Return training checkpoints with their progress, and corrupt files with the reason."""
    progress, corrupt = {}, {}
    for path in folder.glob("*.pth"):
        if not path.is_file():
            continue
        try:
            found = read_structure(path)
        except CheckpointError as error:
            corrupt[path] = find_file_corruption(path) or str(error).removeprefix(f"'{path}' ")
            continue
        if found is not None:
            meta = found["meta"]
            progress[path] = Progress(meta["iter"], meta["epoch"])
        elif reason := _digest_mismatch(path):  # possibly a corrupt training checkpoint
            corrupt[path] = reason
    return progress, corrupt


def _digest_mismatch(path: Path) -> str | None:
    with path.open("rb") as file:
        return find_corruption(file) if has_digest(file) else None


def _read_pointer(pointer: Path, folder: Path) -> tuple[Path | None, str]:
    """Return the file of ``folder`` named in ``pointer``, or None and the reason."""
    if not _exists(pointer):
        return None, "is missing"
    if not pointer.is_file():
        return None, "is not a regular file; remove it"
    try:
        with pointer.open("rb") as file:
            content = file.read(_LONGEST_POINTER + 1)
    except OSError as error:
        return None, f"cannot be read ({error.strerror or error})"
    text = content.decode(errors="replace").strip("\0 \r\n")
    if not text:
        return None, "is empty"
    # only the name counts: the folder may have been moved
    name = text.replace("\\", "/").rpartition("/")[2]
    fits = len(content) <= _LONGEST_POINTER and len(name.encode()) <= _LONGEST_NAME
    if not (fits and name.endswith(".pth") and name.isprintable()):
        return None, "is corrupt: it contains no name of a .pth file"
    return folder / name, ""


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _time(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # removed or unreachable; opening it will give the reason
        return 0


def _by_preference(
    by_time: list[Path], progress: dict[Path, Progress], named: Path | None
) -> list[Path]:
    """Return the files in the order of preference."""
    if named not in by_time:
        return by_time
    # a later iteration alone is not enough: it may be of an earlier run in the same folder
    later = by_time[: by_time.index(named)]
    newer = [file for file in later if progress[file] > progress[named]]
    newer.sort(key=lambda file: progress[file], reverse=True)
    rest = [file for file in by_time if file not in newer and file != named]
    return [*newer, named, *rest]


def _warnings(
    pointer: Path, problem: str, chosen: Path, named: Path | None, corrupt: dict[Path, str]
) -> list[str]:
    texts = [f"{path} is corrupt and skipped: {reason}" for path, reason in corrupt.items()]
    if named is None:
        texts.append(f"{pointer} {problem}")
    elif named != chosen:
        texts.append(f"{pointer} names {named.name}")
    return [f"{text}; resuming from {chosen.name}" for text in texts]
