"""Resources of the machine."""

import pytest
import torch

from mim_plugins.cli.machine import Machine, this_machine


def test_this_machine_has_cores_and_memory():
    machine = this_machine()
    assert machine.has_gpu == torch.cuda.is_available()
    assert machine.cores >= 1
    assert machine.memory > 2**28


@pytest.mark.parametrize(
    ("has_gpu", "cores", "workers"),
    [(False, 1, 1), (False, 2, 1), (False, 8, 4), (True, 8, 8), (True, 96, 16)],
)
def test_workers_leave_cores_for_training_without_a_gpu(has_gpu, cores, workers):
    assert Machine(has_gpu, cores, 2**30).workers == workers
