import copy
from functools import partial

import pytest
import torch
from tiny_run import toy_runner

from mim_plugins.engine.resume.atomic_local_backend import ATOMIC_BACKEND
from mim_plugins.engine.resume.captured_checkpoint import captured_checkpoint
from mim_plugins.engine.resume.checkpoint_copier import CheckpointCopier


@pytest.mark.parametrize("as_copy", [copy.deepcopy, dict])
def test_capture_writes_nothing_until_its_function_is_called(tmp_path, as_copy):
    runner = toy_runner(tmp_path, iterations=1)
    runner.train()
    with captured_checkpoint(as_copy) as writes:
        runner.save_checkpoint(str(tmp_path), "later.pth")
    assert not (tmp_path / "later.pth").exists()
    before = runner.model.weight.tolist()
    runner.model.weight.data += 1
    for write in writes:
        write()
    saved = torch.load(tmp_path / "later.pth", weights_only=False)["state_dict"]["weight"].tolist()
    assert saved == (before if as_copy is copy.deepcopy else runner.model.weight.tolist())
    runner.save_checkpoint(str(tmp_path), "again.pth")
    assert (tmp_path / "again.pth").exists()


def test_file_of_a_copy_has_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("mmengine.runner.runner.time.strftime", lambda *_: "now")
    runner = toy_runner(tmp_path, iterations=1)
    runner.train()
    files = []
    for as_copy in (partial(CheckpointCopier().copy, runner), dict):
        with captured_checkpoint(as_copy) as writes:
            runner.save_checkpoint(
                str(tmp_path), "same.pth", backend_args=dict(backend=ATOMIC_BACKEND)
            )
        writes[0]()
        files.append((tmp_path / "same.pth").read_bytes())
    assert files[0] == files[1]
