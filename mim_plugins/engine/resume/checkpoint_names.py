"""Folder and names of a run's checkpoints."""

import os
import re
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from ...errors import ConfigError

INTERRUPTED = "interrupted.pth"  # removed when a later regular checkpoint is complete
TIMED = ("timed_0.pth", "timed_1.pth")

_NUMBER = re.compile(r"\{[^}]*\}")
_EXAMPLES = (1, 12)


def is_local(folder: Any) -> bool:
    """Return whether a folder, or the work folder if it is None, is a path and not a URL."""
    return "://" not in str(folder or "")


def checkpoint_folder(work_dir: str, out_dir: str | Path | None) -> Path:
    """Return the local folder in which MMEngine's hook saves, before the run changes ``out_dir``.

    Args:
        work_dir: absolute path of the work folder.
        out_dir: ``out_dir`` of the hook. MMEngine adds the name of the work folder, unless both are
            the same text.
    """
    if out_dir is None or out_dir == work_dir:
        return Path(work_dir)
    return Path(os.path.abspath(out_dir), Path(work_dir).name)


def local_folder(hook: CheckpointHook, work_dir: str) -> str | None:
    """Return the local folder in which a hook saves, at any time; None if it is not local.

    Args:
        hook: the checkpoint hook.
        work_dir: absolute path of the work folder.
    """
    if not is_local(hook.out_dir):
        return None
    is_complete = hasattr(hook, "file_backend")  # before_train sets both
    return hook.out_dir if is_complete else str(checkpoint_folder(work_dir, hook.out_dir))


def check_distinct(runner: Runner) -> None:
    """Check, before the hooks change their ``out_dir``, that no two of them write the same files.

    Raises:
        ConfigError: two checkpoint hooks have the same folder and file names.
    """
    seen = set()
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook):
            continue
        folder: Any = f"{hook.out_dir}/{Path(runner.work_dir).name}"
        if is_local(hook.out_dir):
            folder = checkpoint_folder(runner.work_dir, hook.out_dir)
        place = folder, template_pattern(hook.filename_tmpl)
        if place in seen:
            raise ConfigError(
                f"two checkpoint hooks save '{hook.filename_tmpl}' in '{folder}' and would"
                " replace and remove each other's files: give one of them another filename_tmpl or"
                " out_dir"
            )
        seen.add(place)


def template_pattern(template: str) -> str:
    """Return the regular expression of the names that a ``filename_tmpl`` describes."""
    return r"\d+".join(re.escape(part) for part in _NUMBER.split(template))


def check_template(template: str) -> None:
    """Check that files named by ``filename_tmpl`` differ and are found by ``--resume``.

    Raises:
        ConfigError: they have no number, are in another folder, do not end in .pth, or have a name
            that other files of the run have.
    """
    try:
        names = [template.format(number) for number in _EXAMPLES]
    except (AttributeError, LookupError, TypeError, ValueError):
        names = []
    if len(set(names)) < len(_EXAMPLES) or not all(_is_found(name, template) for name in names):
        raise ConfigError(
            f"AtomicCheckpointHook: filename_tmpl={template!r} must be a name that contains {{}}"
            " for the epoch or iteration and ends in .pth, such as 'epoch_{}.pth'; give a folder as"
            " out_dir"
        )
    pattern = template_pattern(template)
    if any(re.fullmatch(pattern, name) for name in TIMED):
        raise ConfigError(
            f"AtomicCheckpointHook: filename_tmpl={template!r} describes {TIMED[1]}, a file of"
            " TimedCheckpointHook: choose another name, such as 'epoch_{}.pth'"
        )


def _is_found(name: str, template: str) -> bool:
    is_plain = name.isprintable() and name == name.strip() and not re.search(r"[/\\]", name)
    return is_plain and bool(re.fullmatch(template_pattern(template), name)) and name[-4:] == ".pth"
