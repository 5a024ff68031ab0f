"""Identity of a process, by which another process of the machine finds whether it has ended."""

import os
from pathlib import Path
from typing import Any


def machine_id() -> str | None:
    """Return an id of boot and PID namespace, equal for processes that share PIDs, or None."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def process_start(pid: Any) -> str | None:
    """Return the start time of a process in kernel ticks, None if it has ended or is unknown."""
    try:
        text = Path(f"/proc/{int(pid)}/stat").read_text()
    except (OSError, OverflowError, TypeError, ValueError):
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
