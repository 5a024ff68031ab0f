import pytest
import torch
from described_encoders import encoder_of

from mim_plugins.apis import onnx_file
from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.apis.onnx_file import export_onnx, require_packages
from mim_plugins.errors import CheckpointError, ConfigError, MissingPackageError

needs_newer_torch = pytest.mark.skipif(
    torch.__version__.startswith("2.6."), reason="torch 2.6 cannot export these models"
)


@pytest.fixture
def module():
    for name in ("onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    return FromPixels(encoder_of("vit_without_cls"), features=True).eval()


@needs_newer_torch
def test_large_weights_are_in_a_second_file(module, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_PROTOBUF_LIMIT", 0)
    assert export_onnx(module, tmp_path / "a.onnx", (32, 32), batch_size=1) <= 1e-4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]


def test_a_file_that_differs_from_pytorch_is_not_written(module, tmp_path, monkeypatch):
    (tmp_path / "a.onnx").write_text("kept")
    monkeypatch.setattr(onnx_file, "_write", lambda module, size, out, *_: out.touch())
    monkeypatch.setattr(onnx_file, "_session", lambda file: None)
    monkeypatch.setattr(onnx_file, "largest_difference", lambda *_: float("nan"))
    with pytest.raises(CheckpointError, match="onnxruntime differs from PyTorch by nan"):
        export_onnx(module, tmp_path / "a.onnx", (32, 32), batch_size=1)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["kept"]


def test_a_size_that_does_not_fit_is_refused_before_the_export(module, tmp_path, monkeypatch):
    monkeypatch.delattr("torch.onnx.export")
    with pytest.raises(ConfigError, match=r"the size 0x32 .* does not fit the model"):
        export_onnx(module, tmp_path / "a.onnx", (0, 32))


def test_torch_that_cannot_export_is_named(module, tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise torch.onnx.OnnxExporterError("Failed to export\nmany lines")

    monkeypatch.setattr("torch.onnx.export", broken)
    with pytest.raises(CheckpointError, match=r"^torch 2\.\d.* does not export this .*torch 2\.11"):
        export_onnx(module, tmp_path / "a.onnx", (32, 32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_named(monkeypatch, missing):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else name)
    with pytest.raises(MissingPackageError) as error:
        require_packages(check=True)
    assert f"no package {missing}: pip install 'mim_plugins[onnx]'" in str(error.value)
    assert ("--no-check" in str(error.value)) == (missing == "onnxruntime")
    if missing == "onnxruntime":
        require_packages(check=False)
