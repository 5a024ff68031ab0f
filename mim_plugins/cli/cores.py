"""Cores and processes that suit this machine; tools import this before PyTorch."""

import os

MOST_PROCESSES = 16


def usable_cores() -> int:
    """Return the number of cores that this process may use, of which a batch job has few."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def reading_processes() -> int:
    """Return the default number of processes that read images."""
    return min(usable_cores(), MOST_PROCESSES)
