"""Work folder of a run: writable, locked, and without checkpoints of an earlier run."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS

from ..checkpoints import write_atomically
from ..config import hook_configs, resolve_type
from ..engine.resume.checkpoint_files import POINTER
from ..engine.resume.checkpoint_names import (
    INTERRUPTED,
    TIMED,
    checkpoint_folder,
    is_local,
    template_pattern,
)
from ..errors import WorkDirError
from .work_dir_lock import WorkDirLock

_PATIENCE = 60.0  # seconds; torchrun kills a process that does not end after 30 s
_MIN_FREE = 2**20  # bytes; a disk with less counts as full


@contextmanager
def claim(cfg: Config, overwrite: bool = False, is_restarted: bool = False) -> Iterator[list[Path]]:
    """Lock the work folder of ``cfg`` within the block, on the main process.

    The former main process of a restarted run, perhaps on a machine that has lost its connection,
    may hold the lock for some time, so a restart waits for it.

    Yields:
        Checkpoints of an earlier run; pass them to :func:`remove_checkpoints` when training has
        begun. The list is empty if ``cfg`` resumes, and on all other processes.

    Raises:
        WorkDirError: the folder is in use by another run, cannot be written, contains checkpoints
            although ``overwrite`` is False, or contains a checkpoint that ``cfg`` loads.
    """
    if not is_main_process(cfg):
        yield []
        return
    folder = ensure_writable(cfg.work_dir)
    others = sorted(set(_places(cfg)) - {folder})
    with ExitStack() as locks:
        for place in (folder, *map(ensure_writable, others)):
            patience = _PATIENCE if is_restarted else 0
            locks.enter_context(WorkDirLock(place, patience=patience))
        earlier = [] if cfg.get("resume") else earlier_checkpoints(cfg)
        if earlier and not overwrite:
            names = ", ".join(path.name for path in earlier[:3])
            raise WorkDirError(
                f"the work folder '{folder}' has checkpoints of an earlier run ({names}"
                f"{', ...' if len(earlier) > 3 else ''}): continue from the newest with --resume,"
                " replace them with --overwrite, or choose another folder with --work-dir"
            )
        needed = {os.path.realpath(path) for path in _paths(cfg.to_dict())}
        for path in earlier:
            own = os.path.realpath(path)
            if any(file == own or file.startswith(own + os.sep) for file in needed):
                raise WorkDirError(
                    f"--overwrite would remove '{path}', which the config loads: choose"
                    " another folder with --work-dir"
                )
        yield earlier


def is_main_process(cfg: Config) -> bool:
    """Return whether this is the main process; also works before the process group exists."""
    return cfg.get("launcher", "none") == "none" or os.environ.get("RANK", "0") == "0"


def ensure_writable(folder: str | Path) -> Path:
    """Create a folder, check that it is writable and return its absolute path.

    Raises:
        WorkDirError: the folder cannot be created or written, or its disk is full.
    """
    folder = Path(os.path.abspath(folder))
    probe = folder / f"writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(probe, lambda partial: partial.write_bytes(bytes(_MIN_FREE)))
        probe.unlink()
    except OSError as error:
        raise WorkDirError(
            f"the work folder '{folder}' cannot be written: {error.strerror or error}; free disk"
            " space or change its permissions, or choose another folder with --work-dir"
        ) from error
    return folder


def earlier_checkpoints(cfg: Config) -> list[Path]:
    """Return the checkpoints that a run of ``cfg`` would mix with its own, oldest first."""
    found: set[Path] = set()
    for folder, templates in _places(cfg).items():
        own = map(re.escape, (INTERRUPTED, *TIMED))
        name = "|".join([*(rf"(best_(.*_)?)?({template_pattern(t)})" for t in templates), *own])
        files = folder.iterdir() if folder.is_dir() else ()
        found |= {path for path in files if re.fullmatch(name, path.name)}
    return sorted(found, key=lambda path: path.lstat().st_mtime_ns)


def _places(cfg: Config) -> dict[Path, list[str]]:
    """Return the local folders of all checkpoint hooks of ``cfg``, with their file names."""
    others = hook_configs(cfg)
    hooks = [others.pop("default_hooks.checkpoint", None) or {}]
    hooks += [hook for hook in others.values() if _saves_checkpoints(hook)]
    work_dir = os.path.abspath(cfg.work_dir)
    places: dict[Path, list[str]] = {}
    for hook in hooks:
        out_dir = _argument(hook, "out_dir")
        if is_local(out_dir):
            folder = checkpoint_folder(work_dir, out_dir)
            templates = places.setdefault(folder, ["epoch_{}.pth", "iter_{}.pth"])
            templates.append(_argument(hook, "filename_tmpl") or "epoch_{}.pth")
    return places


def _argument(hook: Any, name: str) -> Any:
    """Return an argument of a hook's config, or of a hook that a Python config has built."""
    return hook.get(name) if isinstance(hook, dict) else getattr(hook, name, None)


def _saves_checkpoints(hook: Any) -> bool:
    if isinstance(hook, CheckpointHook):
        return True
    kind = resolve_type(hook.get("type"), HOOKS, None) if isinstance(hook, dict) else None
    return isinstance(kind, type) and issubclass(kind, CheckpointHook)


def remove_checkpoints(checkpoints: list[Path], work_dir: str | Path) -> None:
    """Remove checkpoints of an earlier run, and ``last_checkpoint`` in the work folder.

    The checkpoints may be in other folders, but MMEngine writes ``last_checkpoint`` to this one.

    Raises:
        WorkDirError: a file cannot be removed.
    """
    for path in checkpoints:
        try:
            Path(work_dir, POINTER).unlink(missing_ok=True)
            if path.is_dir() and not path.is_symlink():  # DeepSpeed's
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise WorkDirError(
                f"--overwrite cannot remove '{path}': {error.strerror}; change its permissions, or"
                " choose another folder with --work-dir"
            ) from error


def _paths(value: Any) -> Iterator[str]:
    """Yield all strings and paths in nested dicts and lists as local paths."""
    if isinstance(value, str | os.PathLike):
        text = re.sub(r"^(local|file)://", "", os.fsdecode(value))
        yield os.path.expanduser(text)
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _paths(part)
