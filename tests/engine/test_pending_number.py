import torch
from gpu_model import simulated_gpu
from two_processes import in_two_processes

from mim_plugins.engine.pending_number import PendingNumber


def test_a_number_of_one_process_is_returned():
    assert PendingNumber(torch.tensor(3)).read() == 3


def test_the_host_waits_only_when_it_reads():
    with simulated_gpu() as gpu:
        number = PendingNumber(torch.zeros((), dtype=torch.int, device="meta"))
        assert gpu.trace.waits == []
        assert number.read() == 0
        assert len(gpu.trace.waits) == 1


def read(rank, folder):
    return PendingNumber(torch.tensor(rank + 5)).read()


def test_processes_read_their_maximum(tmp_path):
    assert in_two_processes(read, tmp_path) == ([0, 0], {0: 6, 1: 6})
