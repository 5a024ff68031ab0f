"""Failures of the processes that torchrun has started: the first cause, and whether to restart."""

import json
import signal
from pathlib import Path
from typing import Any

from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

KILLS = (signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV, signal.SIGILL, signal.SIGFPE)
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# wrong arguments, saved after a signal (mim_plugins.engine.REQUEUE_EXIT_CODE), Ctrl-C
_FINAL_EXIT_CODES = (2, 85, 130)


def first_failure(failures: dict[int, ProcessFailure]) -> tuple[int, ProcessFailure]:
    """Return the failure that caused the others, with its rank.

    A killed process and a process that then loses the connection may be reported at the same time,
    and the launcher then stops the remaining processes by SIGTERM. The time of a kill is that at
    which the launcher detects it, so it may be later than the reports of the consequences.
    """
    causes = {rank: each for rank, each in failures.items() if not _is_consequence(each)}
    causes = causes or failures
    first = min(failure.timestamp for failure in causes.values())

    def order(item: tuple[int, ProcessFailure]) -> tuple[bool, int, int]:
        rank, failure = item
        is_kill = -failure.exitcode in KILLS and failure.timestamp <= first + 1
        return not is_kill, failure.timestamp, rank

    return min(causes.items(), key=order)


def _is_consequence(failure: ProcessFailure) -> bool:
    report = failure.error_file_data or {}
    return -failure.exitcode in STOPS or bool(report.get("is_consequence"))


def describe(rank: int, failure: ProcessFailure) -> str:
    """Return one line about a failure."""
    if failure.exitcode < 0:
        return f"process {rank} was ended by {signal.Signals(-failure.exitcode).name}"
    report = failure.error_file_data or {}
    if report.get("is_consequence"):
        return f"process {rank} lost the connection to another process"
    if "can_restart" in report:
        return f"process {rank}: {str(report['message']).removeprefix('error: ')}"
    return f"process {rank} ended with exit code {failure.exitcode}"


def restart_may_help(failures: dict[int, ProcessFailure], reports: list[dict[str, Any]]) -> bool:
    """Return whether a restart may help.

    Args:
        failures: failed processes by rank.
        reports: reports of the processes of this machine, also of those that have not yet ended.
    """
    _, first = first_failure(failures)
    if -first.exitcode in STOPS or any(f.exitcode in _FINAL_EXIT_CODES for f in failures.values()):
        return False
    return all(report.get("can_restart", True) for report in reports)


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Return the reports of ``mim_plugins`` in the folder of an attempt (``RANK/error.json``)."""
    reports = (json.loads(file.read_text()) for file in sorted(folder.glob("*/error.json")))
    return [report for report in reports if isinstance(report, dict)]


def reached_iteration(folder: Path) -> list[int] | None:
    """Return the last completed iteration of an attempt and the number of all iterations.

    The result is None if training had not started.
    """
    texts = [file.read_text().split() for file in folder.glob("*/progress")]
    reached = [[int(text) for text in pair] for pair in texts if len(pair) == 2]
    return max(reached, default=None)
