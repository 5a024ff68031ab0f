"""Settings of a fine-tuning that depend on the encoder's file."""

from importlib import import_module

import pytest
from described_encoders import encoder_of
from image_folders import write_images
from mmengine.config import Config

from mim_plugins.apis import Encoder
from mim_plugins.cli.finetuning import finetune
from mim_plugins.errors import CheckpointError, WorkDirError


class StoppedError(Exception):
    pass


@pytest.fixture
def data(tmp_path, monkeypatch):
    def stop(*_):
        raise StoppedError

    # the package has a function of the same name
    module = import_module("mim_plugins.cli.finetuning.finetune")
    monkeypatch.setattr(module, "train", stop)
    for split in ("train", "val"):
        for name in ("a", "b"):
            write_images(tmp_path / "data" / split / name, 4)
    return tmp_path / "data"


def test_encoder_that_describes_itself_needs_no_config(data, tmp_path):
    encoder = encoder_of("pvt")
    encoder.save(tmp_path / "encoder.safetensors")
    with pytest.raises(StoppedError):
        finetune(data, tmp_path / "encoder.safetensors", out=tmp_path / "run")
    backbone = Config.fromfile(tmp_path / "run.py").model.backbone
    assert backbone.type == "mim_plugins.MaskedPVT"
    assert backbone.arch.embed_dims == [8, 16, 32]
    assert backbone.init_cfg.checkpoint == str(tmp_path / "encoder.safetensors")


def test_weights_without_description_need_a_config(data, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"x")
    with pytest.raises(WorkDirError, match=r"the config of the run is unknown.*with --config"):
        finetune(data, tmp_path / "weights.pth", out=tmp_path / "run")


def test_description_takes_precedence_over_files_beside_it(data, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for script in (tmp_path / "models.py", folder / "train.py"):
        script.write_text("raise AssertionError('executed')\nmodel = dict()\ntrain_dataloader = {}")
    encoder_of("pvt").save(folder / "encoder.safetensors")
    with pytest.raises(StoppedError):
        finetune(data, folder / "encoder.safetensors", out=tmp_path / "run")
    assert Config.fromfile(tmp_path / "run.py").model.backbone.type == "mim_plugins.MaskedPVT"


def test_truncated_encoder_is_one_line(data, tmp_path):
    encoder_of("pvt").save(tmp_path / "a.safetensors")
    content = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="is corrupt or not a safetensors file"):
        finetune(data, tmp_path / "a.safetensors", out=tmp_path / "run")


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_described_normalization_and_colors_are_kept(data, tmp_path, order):
    given = encoder_of("pvt").description
    images = given.preprocessing._replace(
        mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0), channel_order=order
    )
    Encoder(given._replace(preprocessing=images)).save(tmp_path / "encoder.safetensors")
    with pytest.raises(StoppedError):
        finetune(data, tmp_path / "encoder.safetensors", out=tmp_path / "run")
    found = Config.fromfile(tmp_path / "run.py").data_preprocessor
    assert (found.mean, found.std) == ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert found.to_rgb == (order == "rgb")
