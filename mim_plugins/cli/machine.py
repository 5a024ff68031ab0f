"""Resources of this machine that the automatic settings depend on."""

import os
from pathlib import Path
from typing import NamedTuple

import torch

from .cores import MOST_PROCESSES, usable_cores

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Machine(NamedTuple):
    """Resources of a machine."""

    has_gpu: bool
    cores: int
    """Cores that this process may use."""
    memory: int
    """Bytes for training: of the GPU, or half of the main memory without one."""

    @property
    def workers(self) -> int:
        """Loading processes; without a GPU, training needs the cores as well."""
        wanted = self.cores if self.has_gpu else self.cores // 2
        return min(max(wanted, 1), MOST_PROCESSES)


def this_machine() -> Machine:
    """Return the resources of this machine."""
    cores = usable_cores()
    if torch.cuda.is_available():
        return Machine(True, cores, torch.cuda.mem_get_info()[0])
    return Machine(False, cores, _main_memory() // 2)


def _main_memory() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(physical, int(_CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no limit
        return physical
