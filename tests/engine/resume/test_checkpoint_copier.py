from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mim_plugins.engine.resume.checkpoint_copier import CheckpointCopier


@pytest.fixture
def run():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    wrapper = SimpleNamespace(optimizer=optimizer)
    return SimpleNamespace(model=model, optim_wrapper=wrapper, hooks=[])


def content_of(run, **more):
    state = run.optim_wrapper.optimizer.state_dict()
    return dict(state_dict=run.model.state_dict(), optimizer=state, **more)


def test_copy_shares_no_memory_with_the_run(run):
    average = torch.ones(3)
    history = dict(values=[1, 2])
    found = CheckpointCopier().copy(run, content_of(run, average=average, history=history))
    expected = run.model.weight.detach().clone()
    for tensor in (*run.model.parameters(), average):
        tensor.data.zero_()
    for entries in run.optim_wrapper.optimizer.state.values():
        for value in entries.values():
            value.zero_()
    history["values"].append(3)
    assert torch.equal(found["state_dict"]["weight"], expected)
    assert all(each["step"] == 1 for each in found["optimizer"]["state"].values())
    assert found["optimizer"]["state"][0]["exp_avg"].any()
    assert found["average"].tolist() == [1, 1, 1]
    assert found["history"] == dict(values=[1, 2])


def test_tied_weights_are_stored_once(run):
    content = content_of(run)
    content["state_dict"]["tied"] = content["state_dict"]["weight"]
    content["state_dict"]["view"] = content["state_dict"]["weight"][0]
    found = CheckpointCopier().copy(run, content)["state_dict"]
    addresses = {found[name].untyped_storage().data_ptr() for name in ("weight", "tied", "view")}
    assert len(addresses) == 1
    assert found["view"].shape == (2,)


def test_copies_from_a_gpu_are_not_copied_again(run):
    content = content_of(run)
    run.model = nn.Linear(2, 2, device="meta")  # stands for a GPU
    live = content["optimizer"]["state"][0]
    copied = live["exp_avg"].clone()  # as MMEngine's .cpu() there
    content["optimizer"]["state"] = {0: live | dict(exp_avg=copied)}
    found = CheckpointCopier().copy(run, content)["optimizer"]["state"][0]
    assert found["exp_avg"] is copied
    assert found["step"] is not live["step"]  # on the CPU in any case


class WithExtraState(nn.Linear):
    """Layer with a tensor that is neither a parameter nor a buffer."""

    def __init__(self, device):
        super().__init__(2, 2, device=device)
        self.queue = torch.zeros(3)

    def get_extra_state(self):
        return self.queue

    def set_extra_state(self, state):
        self.queue = state


@pytest.mark.parametrize("device", ["cpu", "meta"])  # the latter stands for a GPU
def test_other_state_of_models_and_hooks_is_copied(run, device):
    """MMEngine's EMAHook exchanges the weights and their averages in the checkpoint."""
    average = nn.Linear(2, 2)
    run.hooks = [SimpleNamespace(ema_model=average)]
    run.model = WithExtraState(device)
    run.optim_wrapper.optimizer.param_groups[0]["lr"] = rate = torch.tensor(0.5)
    content = content_of(run, ema_state_dict=run.model.state_dict())
    content["state_dict"]["weight"] = average.state_dict()["weight"]
    found = CheckpointCopier().copy(run, content)
    expected = average.weight.detach().clone()
    for live in (average.weight.data, run.model.queue, rate):
        live.fill_(7)
    assert torch.equal(found["state_dict"]["weight"], expected)
    assert not found["state_dict"]["_extra_state"].any()
    assert found["optimizer"]["param_groups"][0]["lr"] == 0.5


def test_tensors_without_one_memory_are_copied(run):
    sparse = torch.eye(2).to_sparse()
    found = CheckpointCopier().copy(run, content_of(run, sparse=sparse, none=torch.empty(0)))
    assert found["sparse"] is not sparse
    assert torch.equal(found["sparse"].to_dense(), torch.eye(2))


def test_next_copy_uses_the_memory_of_the_previous_one(run):
    copier = CheckpointCopier()
    first = copier.copy(run, dict(state_dict=run.model.state_dict()))["state_dict"]
    addresses = {value.data_ptr() for value in first.values()}
    run.model.weight.data += 1
    run.model.bias.data = torch.ones(5)
    second = copier.copy(run, dict(state_dict=run.model.state_dict()))["state_dict"]
    assert second["weight"].data_ptr() in addresses
    assert torch.equal(second["weight"], run.model.weight)
    assert torch.equal(second["bias"], torch.ones(5))
    assert second["bias"].data_ptr() not in addresses
