from types import SimpleNamespace

import pytest
import torch
from tiny_run import toy_runner
from torch import nn

from mim_plugins.engine.resume.atomic_local_backend import ATOMIC_BACKEND
from mim_plugins.engine.resume.captured_checkpoint import captured_checkpoint, copy_checkpoint


@pytest.fixture
def run():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return SimpleNamespace(model=model, optim_wrapper=SimpleNamespace(optimizer=optimizer))


def content_of(run, **more):
    state = run.optim_wrapper.optimizer.state_dict()
    return dict(state_dict=run.model.state_dict(), optimizer=state, **more)


def test_copy_shares_no_memory_with_the_run(run):
    average = torch.ones(3)
    history = dict(values=[1, 2])
    found = copy_checkpoint(run, content_of(run, average=average, history=history))
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
    found = copy_checkpoint(run, content)["state_dict"]
    addresses = {found[name].untyped_storage().data_ptr() for name in ("weight", "tied", "view")}
    assert len(addresses) == 1
    assert found["view"].shape == (2,)


def test_copies_from_a_gpu_are_not_copied_again(run):
    content = content_of(run)
    live = content["optimizer"]["state"][0]
    copied = live["exp_avg"].clone()  # as MMEngine's .cpu() there
    content["optimizer"]["state"] = {0: live | dict(exp_avg=copied)}
    found = copy_checkpoint(run, content)["optimizer"]["state"][0]
    assert found["exp_avg"] is copied
    assert found["step"] is not live["step"]  # on the CPU in any case


def test_tensors_without_one_memory_are_copied(run):
    sparse = torch.eye(2).to_sparse()
    found = copy_checkpoint(run, content_of(run, sparse=sparse, none=torch.empty(0)))
    assert found["sparse"] is not sparse
    assert torch.equal(found["sparse"].to_dense(), torch.eye(2))


@pytest.mark.parametrize("as_copy", [True, False])
def test_capture_writes_nothing_until_its_function_is_called(tmp_path, as_copy):
    runner = toy_runner(tmp_path, iterations=1)
    runner.train()
    with captured_checkpoint(runner, as_copy) as writes:
        runner.save_checkpoint(str(tmp_path), "later.pth")
    assert not (tmp_path / "later.pth").exists()
    before = runner.model.weight.tolist()
    runner.model.weight.data += 1
    for write in writes:
        write()
    saved = torch.load(tmp_path / "later.pth", weights_only=False)["state_dict"]["weight"].tolist()
    assert saved == (before if as_copy else runner.model.weight.tolist())
    runner.save_checkpoint(str(tmp_path), "again.pth")
    assert (tmp_path / "again.pth").exists()


def test_file_of_a_copy_has_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("mmengine.runner.runner.time.strftime", lambda *_: "now")
    runner = toy_runner(tmp_path, iterations=1)
    runner.train()
    files = []
    for as_copy in (True, False):
        with captured_checkpoint(runner, as_copy) as writes:
            runner.save_checkpoint(
                str(tmp_path), "same.pth", backend_args=dict(backend=ATOMIC_BACKEND)
            )
        writes[0]()
        files.append((tmp_path / "same.pth").read_bytes())
    assert files[0] == files[1]
