"""Programs of torch.export."""

import json
import subprocess
import sys

import pytest
import torch
from described_encoders import encoder_of, randomized

from mim_plugins.apis import Encoder, extract_features
from mim_plugins.apis import program as program_module
from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.apis.program import export_program
from mim_plugins.errors import CheckpointError

needs_newer_torch = pytest.mark.skipif(
    torch.__version__.startswith("2.6."), reason="torch 2.6 cannot export these models"
)
WITHOUT_PACKAGE = """
import sys, torch
for name in ("mim_plugins", "mmengine", "mmcv", "mmpretrain"):
    sys.modules[name] = None  # importing it fails
program = torch.export.load(sys.argv[1]).module()
images = torch.load(sys.argv[2])
torch.save([program(each) for each in images], sys.argv[3])
"""


@needs_newer_torch
def test_program_runs_without_this_package(tmp_path):
    encoder = encoder_of("shifted_windows")
    export_program(encoder, tmp_path / "a.pt2")
    images = [torch.randint(256, (count, 3, 64, 64)).float() for count in (1, 2, 5)]
    torch.save(images, tmp_path / "images.pt")
    files = [str(tmp_path / name) for name in ("a.pt2", "images.pt", "out.pt")]
    command = [sys.executable, "-c", WITHOUT_PACKAGE, *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for given, found in zip(images, torch.load(tmp_path / "out.pt"), strict=True):
        torch.testing.assert_close(found, FromPixels(encoder, True)(given).detach())


@needs_newer_torch
@pytest.mark.parametrize("name", ["pvt", "vit", "conv_vit"])
def test_rectangles_of_every_encoder_are_exported(name, tmp_path):
    encoder = encoder_of(name)
    assert export_program(encoder, tmp_path / "a.pt2", (32, 64)) <= 1e-5
    extra = {"mim_plugins.json": ""}
    torch.export.load(tmp_path / "a.pt2", extra_files=extra)
    kind = json.loads(extra["mim_plugins.json"])["backbone"]["type"]
    assert kind == encoder.description.backbone["type"]


@needs_newer_torch
def test_wrong_files_and_different_programs_are_refused(tmp_path, monkeypatch):
    encoder = encoder_of("vit_without_cls")
    with pytest.raises(CheckpointError, match=r"must end in \.pt2"):
        export_program(encoder, tmp_path / "a.pth")
    monkeypatch.setattr(program_module, "TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match="differs from the encoder"):
        export_program(encoder, tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


@needs_newer_torch
def test_a_program_of_an_encoder_for_bgr_takes_rgb(tmp_path, monkeypatch):
    given = encoder_of("vit_without_cls").description
    preprocessing = given.preprocessing._replace(
        channel_order="bgr", size=(32, 32), resize=(32, 32), mean=(9.0, 99.0, 199.0)
    )
    encoder = randomized(Encoder(given._replace(preprocessing=preprocessing)).eval())
    export_program(encoder, tmp_path / "a.pt2")
    rgb = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    found = torch.export.load(tmp_path / "a.pt2").module()(rgb.float())
    torch.testing.assert_close(found, extract_features(encoder, rgb).pooled)

    monkeypatch.setattr("mim_plugins.apis.from_pixels.reads_rgb", lambda model: True)
    with pytest.raises(CheckpointError, match="differs from the encoder"):
        export_program(encoder, tmp_path / "b.pt2")
