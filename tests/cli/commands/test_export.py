import pytest
import torch

from mim_plugins.cli.main import main


def test_a_file_that_exists_is_kept_unless_forced(tmp_path, capsys):
    torch.save(dict(state_dict={}), tmp_path / "a.pth")
    (tmp_path / "out.safetensors").write_bytes(b"kept")
    with pytest.raises(SystemExit) as stop:
        main(["export", str(tmp_path / "a.pth"), str(tmp_path / "out.safetensors")])
    assert str(stop.value.code).startswith("error: ")
    assert (tmp_path / "out.safetensors").read_bytes() == b"kept"
