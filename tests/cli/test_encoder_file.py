"""The command ``export`` with each format."""

import pytest
import torch
from described_encoders import pretraining, save_checkpoint, trained

import mim_plugins
from mim_plugins.cli.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    cfg = pretraining("vit_without_cls")
    cfg.dump(folder / "config.py")
    model = trained(cfg)
    save_checkpoint(model, cfg, folder / "epoch_1.pth")
    torch.save(model.backbone.state_dict(), folder / "plain.pth")
    return folder


@pytest.mark.parametrize(
    ("out", "options", "printed"),
    [
        ("a.safetensors", (), "MaskedViT (prefix 'backbone.'): "),
        ("a.pth", ("--format", "timm"), "does not describe its preprocessing"),
        ("a", ("--format", "huggingface"), "README.md, config.json, model.safetensors"),
        ("a.onnx", ("--format", "onnx", "--img-size", "32", "64"), "any number of images of 32x64"),
        ("a.pt2", ("--format", "pt2", "--img-size", "32", "64"), "images of 32x64, RGB from 0"),
    ],
)
def test_formats_are_written(run, tmp_path, capsys, out, options, printed):
    for word, package in (("huggingface", "huggingface_hub"), ("onnx", "onnxruntime")):
        if word in options:
            pytest.importorskip(package)
    if torch.__version__.startswith("2.6.") and options[-1:] == ("64",):
        pytest.skip("torch 2.6 cannot export these models")
    main(["export", str(run / "epoch_1.pth"), str(tmp_path / out), *options])
    assert printed in capsys.readouterr().out
    with pytest.raises(SystemExit, match="exists already"):
        main(["export", str(run / "epoch_1.pth"), str(tmp_path / out), *options])


def test_info_prints_the_description(run, tmp_path, capsys):
    main(["export", str(run / "epoch_1.pth"), str(tmp_path / "a.safetensors")])
    capsys.readouterr()
    main(["info", str(tmp_path / "a.safetensors")])
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.endswith("a.safetensors: MaskedViT, 0.0 M parameters")
    assert "  source         epoch_1.pth" in lines
    assert "  images         short edge 110 (bicubic, pillow), crop 96x96" in lines
    with pytest.raises(SystemExit, match=r"^error: there is no checkpoint"):
        main(["info", str(tmp_path / "b.safetensors")])


def test_onnx_has_its_suffix(run, tmp_path):
    with pytest.raises(SystemExit, match=r"must end in \.onnx"):
        main(["export", str(run / "epoch_1.pth"), str(tmp_path / "a.pb"), "--format", "onnx"])


def test_config_completes_weights_without_one(run, tmp_path, capsys):
    out = tmp_path / "a.safetensors"
    main(["export", str(run / "plain.pth"), str(out)])
    assert "add --config CONFIG" in capsys.readouterr().out
    command = ["export", str(run / "plain.pth"), str(out), "--force"]
    main([*command, "--config", str(run / "config.py")])
    assert "add --config" not in capsys.readouterr().out
    assert mim_plugins.load(out).description.source == "plain.pth"
    for options in ((), ("--format", "pt2"), ("--format", "huggingface")):
        with pytest.raises(SystemExit, match="has no backbone of mim_plugins"):
            main([*command, *options, "--config", "baselines/beitv2_vit_b_400e"])


def test_image_size_is_for_programs(run, tmp_path, capsys):
    for options in (("--img-size", "32"), ("--format", "pt2", "--img-size", "1", "2", "3")):
        with pytest.raises(SystemExit):
            main(["export", str(run / "epoch_1.pth"), str(tmp_path / "a"), *options])
        assert "of --format onnx or pt2" in capsys.readouterr().err
