import pytest
from described_encoders import exported, pretraining

from mim_plugins.cli.encoder_report import print_encoder_report


def test_lines_describe_the_encoder(tmp_path, capsys):
    cfg = pretraining("vit_without_cls")
    _, file = exported(cfg, tmp_path)
    capsys.readouterr()
    print_encoder_report(str(file))
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.endswith("encoder.safetensors: MaskedViT, 0.0 M parameters")
    assert "  source         epoch_3.pth" in lines
    assert (
        "  images         resize the short edge to 110 pixels (bicubic, pillow), crop 96x96"
        in lines
    )
    assert all(line.startswith("  ") and line.split()[1] for line in lines)


def test_missing_and_other_files_exit_with_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"^error: there is no checkpoint"):
        print_encoder_report(str(tmp_path / "a.safetensors"))
    (tmp_path / "b.safetensors").write_bytes(b"no tensors")
    with pytest.raises(SystemExit, match=r"^error: .*b\.safetensors") as stop:
        print_encoder_report(str(tmp_path / "b.safetensors"))
    assert "\n" not in stop.value.code
