import pytest
import torch

from mim_plugins.targets.weights import (
    download_error,
    existing_file,
    import_library,
    reproducible_init,
    warn_random,
    weights_mismatch_error,
)


def test_a_missing_library_is_named_with_the_command_that_installs_it():
    with pytest.raises(ImportError) as raised:
        import_library("no_such_library", "SomeTarget")
    assert str(raised.value) == (
        "SomeTarget needs no_such_library (No module named 'no_such_library'):"
        " pip install 'mim_plugins[targets]'"
    )


def test_initialization_neither_depends_on_the_global_seed_nor_changes_it():
    def draw():
        with reproducible_init():
            return torch.randn(3)

    torch.manual_seed(1)
    first = draw()
    after = torch.randn(3)
    torch.manual_seed(2)

    assert torch.equal(first, draw())
    torch.manual_seed(1)
    assert torch.equal(after, torch.randn(3))


def test_random_weights_are_announced_once():
    with pytest.warns(UserWarning, match="targets of 'x' are those of a random network") as caught:
        warn_random("SomeTarget", "x")
    assert len(caught) == 1


def test_an_existing_file_is_found_in_the_home_folder_too(tmp_path, monkeypatch):
    (tmp_path / "w.pt").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert existing_file("~/w.pt", "a tag") == str(tmp_path / "w.pt")
    with pytest.raises(
        FileNotFoundError, match=r"'/no/w\.pt': there is no such file; .* a tag, or"
    ):
        existing_file("/no/w.pt", "a tag")


def test_errors_are_short_and_name_what_to_do():
    error = download_error("a tag", "a", "file.pt", OSError("x" * 500))
    assert isinstance(error, FileNotFoundError)
    assert len(str(error)) < 400
    wanted = "get 'a/file.pt' of the hub where there is a network, and set pretrained='/path/to/"
    assert "if they are cached, set HF_HUB_OFFLINE=1; otherwise " + wanted in str(error)
    assert str(error).endswith(wanted + "file.pt'")
    error = download_error("a tag", "", "file.pt", OSError(), tag="t")
    assert "; get 'file.pt' where" in str(error)
    assert str(error).endswith("pretrained='/path/to/file.pt', tag='t'")

    keys = "Missing keys in state_dict:\n" + ", ".join(f"key{index}" for index in range(1000))
    error = weights_mismatch_error("/w.pt", "model", RuntimeError(keys))
    assert isinstance(error, ValueError)
    assert "RuntimeError: Missing keys in state_dict:; key0, key1" in str(error)
    assert len(str(error)) < 600
