"""Transfer of the optimizer state between two processes while training continues."""

from types import SimpleNamespace

import torch
from torch import nn
from torch.distributed.optim import ZeroRedundancyOptimizer
from two_processes import in_two_processes

from mim_plugins.engine.optim.sharded_state_transfer import ShardedStateTransfer


def run_of(optimizer):
    return SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=optimizer))


def sharded(steps):
    """Return an optimizer of three parameters that has made some steps."""
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(size)) for size in ((40, 3), (50,), (7, 5))]
    optimizer = ZeroRedundancyOptimizer(parameters, torch.optim.AdamW, lr=0.1)
    for _ in range(steps):
        step(optimizer)
    return optimizer


def step(optimizer):
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = parameter.detach().cos()
    optimizer.step()


def transfer_while_training(rank):
    """Compare the transferred state with that of the start, in the main process."""
    expected, optimizer = sharded(steps=2), sharded(steps=2)
    expected.consolidate_state_dict()
    transfer = ShardedStateTransfer().start(run_of(optimizer))
    if rank:
        step(optimizer)
        transfer()
        return
    found, wanted = optimizer.state_dict()["state"], expected.state_dict()["state"]
    assert list(found) == list(wanted) == [0, 1, 2]
    others = [number for number, entries in found.items() if not entries["exp_avg"].any()]
    assert 0 < len(others) < 3
    for number in set(found) - set(others):
        assert_same(found[number], wanted[number])
    step(optimizer)
    transfer()
    for number in others:
        assert_same(found[number], wanted[number])


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def lose_the_other(rank):
    transfer = ShardedStateTransfer()
    send = transfer.start(run_of(sharded(steps=1)))
    if rank:
        return ""
    try:
        send()
    except ConnectionError as error:
        return str(error)
    return "no error"


def test_the_transferred_state_is_that_of_the_start():
    codes, _ = in_two_processes(transfer_while_training)
    assert codes == [0, 0]


def test_a_lost_process_is_a_connection_error():
    codes, results = in_two_processes(lose_the_other)
    assert codes[0] == 0
    assert results[0] == "the connection to process 1 is lost"


def test_other_optimizers_are_not_transferred():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1)
    for runner in (run_of(optimizer), SimpleNamespace(optim_wrapper=SimpleNamespace())):
        assert ShardedStateTransfer().start(runner)() is None
