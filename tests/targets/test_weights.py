import sys

import pytest
import torch

from mim_plugins.errors import CheckpointError
from mim_plugins.targets.weights import (
    download_error,
    existing_file,
    import_library,
    reproducible_init,
    warn_random,
    weights_mismatch_error,
)


def test_a_missing_library_is_named_with_its_command():
    with pytest.raises(ImportError) as raised:
        import_library("no_such_library", "SomeTarget")
    assert str(raised.value) == (
        "SomeTarget needs no_such_library (No module named 'no_such_library'):"
        " pip install 'mim_plugins[targets]'"
    )


def test_initialization_is_independent_of_the_global_seed():
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


# both libraries


def load(teacher, path, **settings):
    return teacher.kind(teacher.name, str(path), **settings)


def test_without_the_library_the_error_contains_the_command(teacher, monkeypatch):
    library = "timm" if teacher.kind.__name__ == "TimmTarget" else "open_clip"
    monkeypatch.setitem(sys.modules, library, None)
    message = rf"{teacher.kind.__name__} needs {library} .* pip install 'mim_plugins\["
    with pytest.raises(ImportError, match=message):
        teacher.kind()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to(torch.int64), r"{key} \(int64, where float32"),
        (lambda t: t.to(torch.int32), r"\(int32, where"),
        (lambda t: t.to(torch.uint8), r"\(uint8, where"),
        (lambda t: t > 0, r"\(bool, where"),
        (lambda t: t.to(torch.complex64), "complex64"),
        (lambda t: t.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda t: t.to(torch.float8_e5m2), "float8_e5m2"),
        (lambda t: t.to_sparse(), "sparse_coo"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "quantized"),
        (lambda t: t.to("meta"), "meta device"),
        (lambda t: t.double() + 1e300, "exceed the range.*up to 1.0e.300"),
        (lambda t: t * float("nan"), "NaN or infinite.*100 %"),
        (lambda t: t / 0, "NaN or infinite"),
    ],
)
def test_weights_of_another_kind_are_refused(teacher, tmp_path, change, message):
    state = teacher.state | {teacher.key: change(teacher.state[teacher.key])}
    torch.save(dict(model=state), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=message.format(key=teacher.key)) as caught:
        load(teacher, tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other.weight": torch.zeros(1)}, "Missing key.*Unexpected key.*other"),
        (b"not a checkpoint", "is corrupt"),
        (dict(state_dict=print), "contains more than weights"),
    ],
)
def test_files_that_are_corrupt_unsafe_or_of_another_model(teacher, tmp_path, content, message):
    if isinstance(content, bytes):
        (tmp_path / "w.pt").write_bytes(content)
    else:
        torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=message):
        load(teacher, tmp_path / "w.pt")


def test_bfloat16_is_close(teacher, tmp_path):
    torch.save(teacher.state, tmp_path / "w.pth")
    exact = load(teacher, tmp_path / "w.pth")(teacher.pixels, teacher.grid, True)
    with torch.autocast("cpu", torch.bfloat16):
        half = load(teacher, tmp_path / "w.pth")(teacher.pixels, teacher.grid, True)
    assert half.features.dtype == half.attention.dtype == torch.float32
    assert torch.allclose(half.features, exact.features, atol=0.1)
    assert torch.allclose(half.attention, exact.attention, atol=5e-3)
    assert not torch.equal(half.features, exact.features)


def test_random_weights_are_the_same_and_keep_the_seed(teacher):
    features, name = [], teacher.name.partition(".")[0]
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        with pytest.warns(UserWarning, match=f"pretrained=None, so the targets of '{name}' are"):
            target = teacher.kind(name, None)
        features.append(target(teacher.pixels, teacher.grid).features)
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(*features)
