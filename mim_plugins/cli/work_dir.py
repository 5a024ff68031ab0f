"""The work folder of a run: writable, held by one run, free of another run's checkpoints."""

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
from ..config.types import resolve_type
from ..engine.hooks.atomic_checkpoint_hook import INTERRUPTED
from ..engine.resume.checkpoint_files import POINTER
from ..errors import WorkDirError
from .work_dir_lock import WorkDirLock

_ROOM = 2**20  # bytes; a disk with less is full


@contextmanager
def claim(cfg: Config, overwrite: bool = False) -> Iterator[list[Path]]:
    """Hold the work folder of ``cfg`` while the block runs, on the main process.

    Yields:
        Checkpoints of an earlier run, which :func:`remove` is to remove before the training begins;
        none when ``cfg`` resumes, and on other processes.

    Raises:
        WorkDirError: another run holds the folder, it cannot be written, it has checkpoints and
            ``overwrite`` is off, or ``cfg`` loads one that would be overwritten.
    """
    if not is_main_process(cfg):
        yield []
        return
    folder = require_writable(cfg.work_dir)
    with ExitStack() as locks:
        locks.enter_context(WorkDirLock(folder))
        for place in sorted(set(_places(cfg)) - {folder}):
            locks.enter_context(WorkDirLock(require_writable(place)))
        earlier = [] if cfg.get("resume") else earlier_checkpoints(cfg)
        if earlier and not overwrite:
            names = ", ".join(path.name for path in earlier[:3])
            raise WorkDirError(
                f"the work folder '{folder}' has checkpoints of an earlier run ({names}"
                f"{', ...' if len(earlier) > 3 else ''}): go on from the newest with --resume,"
                " replace them with --overwrite, or give another folder with --work-dir"
            )
        needed = {os.path.realpath(text) for text in _texts(cfg.to_dict())}
        for path in earlier:
            if os.path.realpath(path) in needed:
                raise WorkDirError(
                    f"--overwrite would remove '{path}', which the config loads: give another"
                    " folder with --work-dir"
                )
        yield earlier


def is_main_process(cfg: Config) -> bool:
    """Return whether this process is its run's main one, before the processes are connected."""
    return cfg.get("launcher", "none") == "none" or os.environ.get("RANK", "0") == "0"


def require_writable(folder: str | Path) -> Path:
    """Make a folder and check that a file can be written in it; return its absolute path.

    Raises:
        WorkDirError: it cannot be made or written, or its disk is full.
    """
    folder = Path(os.path.abspath(folder))
    probe = folder / f"writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(probe, lambda partial: partial.write_bytes(bytes(_ROOM)))
        probe.unlink()
    except OSError as error:
        raise WorkDirError(
            f"the work folder '{folder}' cannot be written: {error.strerror or error}; make room or"
            " change its rights, or give another folder with --work-dir"
        ) from error
    return folder


def earlier_checkpoints(cfg: Config) -> list[Path]:
    """Return the checkpoints that a run of ``cfg`` would mix with its own, oldest first."""
    found: set[Path] = set()
    for folder, templates in _places(cfg).items():
        name = "|".join(
            [rf"(best_(.*_)?)?({_pattern(t)})" for t in templates] + [re.escape(INTERRUPTED)]
        )
        files = folder.iterdir() if folder.is_dir() else ()
        found |= {path for path in files if re.fullmatch(name, path.name)}
    return sorted(found, key=lambda path: path.lstat().st_mtime_ns)


def _places(cfg: Config) -> dict[Path, list[str]]:
    """Return the local folders that the checkpoint hooks of ``cfg`` write to, with file names."""
    hooks = [(cfg.get("default_hooks") or {}).get("checkpoint") or {}]
    hooks += [hook for hook in cfg.get("custom_hooks") or () if _saves_checkpoints(hook)]
    work_dir = Path(os.path.abspath(cfg.work_dir))
    places: dict[Path, list[str]] = {}
    for hook in hooks:
        out_dir = hook.get("out_dir")
        if "://" not in str(out_dir):
            folder = work_dir if out_dir is None else Path(os.path.abspath(out_dir)) / work_dir.name
            templates = places.setdefault(folder, ["epoch_{}.pth", "iter_{}.pth"])
            templates.append(hook.get("filename_tmpl") or "epoch_{}.pth")
    return places


def _saves_checkpoints(hook: Any) -> bool:
    kind = resolve_type(hook.get("type"), HOOKS, None) if isinstance(hook, dict) else None
    return isinstance(kind, type) and issubclass(kind, CheckpointHook)


def remove(checkpoints: list[Path]) -> None:
    """Remove checkpoints of an earlier run, and the pointer to the newest.

    Raises:
        WorkDirError: one cannot be removed.
    """
    for path in checkpoints:
        try:
            (path.parent / POINTER).unlink(missing_ok=True)
            if path.is_dir() and not path.is_symlink():  # deepspeed's
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise WorkDirError(f"--overwrite cannot remove '{path}': {error.strerror}") from error


def _pattern(template: str) -> str:
    return r"\d+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", template))


def _texts(value: Any) -> Iterator[str]:
    """Every text in nested dicts and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)
