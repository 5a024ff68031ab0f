"""Description of a running or ended run from its status file."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ..engine.guards.process_identity import machine_id, process_start
from ..engine.hooks.status_hook import FILE_NAME
from ..errors import WorkDirError
from ..wording import counted

_STALE = 120.0  # seconds; several intervals of StatusHook


def read_status(work_dir: str | Path) -> dict[str, Any]:
    """Return the content of ``status.json``.

    Raises:
        WorkDirError: the file is missing or corrupt.
    """
    file = Path(work_dir, FILE_NAME)
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise WorkDirError(
            f"there is no '{file}': choose the work folder of a run with"
            " default_hooks.status=dict(type='mim_plugins.StatusHook'), as in all recipes except"
            " COCO and ADE20K"
        ) from error
    except (OSError, ValueError) as error:
        raise WorkDirError(f"'{file}' cannot be read: {error}") from error
    if not isinstance(content, dict) or not {"state", "updated", "iteration"} <= content.keys():
        raise WorkDirError(f"'{file}' is corrupt: it is not the status of a run")
    return content


def run_state(status: dict[str, Any], now: float | None = None) -> str:
    """Return ``'complete'``, ``'running'`` or ``'dead'``.

    A process of this machine and container is checked by its id and start time. On another machine,
    a run counts as dead if its status is two minutes old, so a long evaluation or save may look
    like a dead run.
    """
    if status["state"] == "complete":
        return "complete"
    machine = status.get("machine")
    if machine is not None and machine == machine_id():
        start = process_start(status.get("pid"))
        return "dead" if start is None or start != status.get("process_start") else "running"
    age = (time.time() if now is None else now) - status["updated"]
    return "running" if age < _STALE else "dead"


def status_lines(status: dict[str, Any], now: float | None = None) -> list[str]:
    """Return the status as lines for a terminal.

    Args:
        status: result of :func:`read_status`.
        now: seconds since the epoch; the default is the current time.
    """
    now = time.time() if now is None else now
    state = run_state(status, now)
    age = _duration(now - status["updated"])
    where = f"process {status.get('pid')} on host '{status.get('host')}'"
    processes = counted(status.get("processes") or 1, "process")
    lines = [f"state: {state} ({where}, {processes}, updated {age} ago)"]
    total = status.get("max_iterations") or 0
    share = f" ({100 * status['iteration'] / total:.1f} %)" if total else ""
    lines.append(f"iteration: {status['iteration']} of {total}{share}")
    lines.append(f"epoch: {status.get('epoch')} of {status.get('max_epochs')}")
    losses = status.get("losses") or {}
    lines += [f"{name}: {value:.4g}" for name, value in losses.items()]
    if status.get("images_per_s"):
        lines.append(f"images/s: {status['images_per_s']:.1f}")
    saved = status.get("last_checkpoint")
    if saved:
        when = datetime.fromtimestamp(saved["time"]).isoformat(sep=" ", timespec="seconds")
        lines.append(f"last checkpoint: {saved['path']} ({when})")
    else:
        lines.append("last checkpoint: none")
    if status.get("corrupt_images") is not None:
        lines.append(f"corrupt images: {status['corrupt_images']}")
    restarts = status.get("restarts") or []
    return [*lines, f"restarts: {len(restarts)}", *(f"  {line}" for line in restarts)]


def print_status(work_dir: str | Path, as_json: bool = False) -> None:
    """Print the status as lines, or the content of the file.

    Raises:
        WorkDirError: see :func:`read_status`.
    """
    status = read_status(work_dir)
    try:
        text = json.dumps(status, indent=1) if as_json else "\n".join(status_lines(status))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise WorkDirError(f"'{Path(work_dir, FILE_NAME)}' is corrupt: {error}") from error
    print(text)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
