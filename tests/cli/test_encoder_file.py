"""The command ``export`` with each format."""

import pytest
import torch
from described_encoders import pretraining, save_checkpoint, trained

import mim_plugins
from mim_plugins.apis import Encoder
from mim_plugins.cli import encoder_file
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
        ("a.pth", ("--format", "timm"), "which timm's PyTorch files cannot: OUT.safetensors does"),
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
    command = ["export", str(run / "plain.pth"), str(tmp_path / "new.safetensors")]
    for options in ((), ("--format", "pt2"), ("--format", "huggingface")):
        with pytest.raises(SystemExit, match="has no backbone of mim_plugins"):
            main([*command, *options, "--config", "baselines/beitv2_vit_b_400e"])


@pytest.fixture(scope="module")
def teacher(run):
    """Write a checkpoint of two encoders, and return the second one's prefix and weights."""
    content = torch.load(run / "epoch_1.pth", weights_only=False)
    tensors = content["state_dict"]
    weights = {
        name.removeprefix("backbone."): tensor + 1
        for name, tensor in tensors.items()
        if name.startswith("backbone.")
    }
    named = {f"teacher.net.{name}": tensor for name, tensor in weights.items()}
    torch.save(dict(content, state_dict=tensors | named), run / "both.pth")
    torch.save(named, run / "teacher.pth")
    return "teacher.net.", weights


def same(found, expected):
    return all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("file_format", ["safetensors", "torch", "huggingface", "pt2", "onnx"])
def test_prefix_chooses_the_encoder_in_every_format(
    run, teacher, tmp_path, monkeypatch, file_format
):
    prefix, weights = teacher
    encoders = []
    for name in ("export_program", "_write_onnx"):  # which take seconds
        monkeypatch.setattr(encoder_file, name, lambda *given: encoders.append(given[0]) or 0.0)
    out = tmp_path / dict(safetensors="a.safetensors", torch="a.pth").get(file_format, "a")
    options = ("--prefix", prefix, "--format", file_format)
    for source in (("both.pth",), ("teacher.pth", "--config", str(run / "config.py"))):
        main(["export", str(run / source[0]), str(out), *options, *source[1:], "--force"])
        encoder = encoders.pop() if file_format in ("pt2", "onnx") else mim_plugins.load(out)
        assert same(encoder.backbone.state_dict(), weights)


def test_card_is_that_of_the_last_encoder(run, tmp_path):
    pytest.importorskip("huggingface_hub")
    cfg = pretraining("vit_without_cls")
    cfg.model.data_preprocessor.mean = [1.0, 2.0, 3.0]
    save_checkpoint(trained(cfg), cfg, tmp_path / "other.pth")
    out = str(tmp_path / "out")
    for source in (run / "epoch_1.pth", tmp_path / "other.pth"):
        main(["export", str(source), out, "--format", "huggingface", "--force"])
    card = (tmp_path / "out/README.md").read_text()
    assert "other.pth" in card
    assert "epoch_1.pth" not in card


@pytest.mark.parametrize("part", ["_save_pretrained", "generate_model_card"])
def test_card_is_kept_if_the_export_fails(run, tmp_path, monkeypatch, part):
    pytest.importorskip("huggingface_hub")
    (tmp_path / "README.md").write_text("own results")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Encoder, part, fail)
    with pytest.raises(SystemExit, match="No space left"):
        main(
            [
                "export",
                str(run / "epoch_1.pth"),
                str(tmp_path),
                "--format",
                "huggingface",
                "--force",
            ]
        )
    assert (tmp_path / "README.md").read_text() == "own results"
    assert not list(tmp_path.glob("*.partial"))


def test_encoders_of_other_packages_need_no_config(tmp_path, capsys):
    torch.save({"backbone.a": torch.ones(1)}, tmp_path / "a.pth")
    main(["export", str(tmp_path / "a.pth"), str(tmp_path / "a.safetensors")])
    assert capsys.readouterr().out.endswith("note: the file does not describe its preprocessing\n")


def test_image_size_is_for_programs(run, tmp_path, capsys):
    for options, printed in (
        (("--img-size", "32"), "--img-size is an option of --format onnx and pt2"),
        (("--format", "pt2", "--img-size", "1", "2", "3"), "such as 192x256"),
        (("--format", "pt2", "--img-size", "0"), "'0' must be a side"),
        (("--format", "onnx", "--img-size", "-16"), "'-16' must be a side"),
    ):
        with pytest.raises(SystemExit):
            main(["export", str(run / "epoch_1.pth"), str(tmp_path / "a"), *options])
        assert printed in capsys.readouterr().err


@pytest.mark.parametrize(
    ("backbone", "reverses", "printed"),
    [
        (dict(), True, ()),
        (dict(), False, ("reads BGR: reverse the channels",)),
        (dict(window_size=2), True, ("windows of 2 x 2 tokens, so features differ",)),
        (dict(window_size=2), False, ("reads BGR", "windows of 2 x 2")),
        (dict(out_indices=(2, 1)), True, ("returns the output of its last block",)),
        (dict(out_indices=(1, 2)), True, ()),
    ],
)
@pytest.mark.parametrize("end", ["pth", "safetensors"])
def test_differences_in_timm_are_printed(tmp_path, capsys, backbone, reverses, printed, end):
    cfg = pretraining("vit_without_cls", **backbone)
    cfg.model.data_preprocessor = dict(
        type="MixDataPreprocessor", mean=[1.0] * 3, std=[2.0] * 3, bgr_to_rgb=reverses
    )
    load = dict(type="mim_plugins.LoadImage")
    cfg.train_dataloader = dict(dataset=dict(type="UnlabeledImageFolder", pipeline=[load]))
    save_checkpoint(trained(cfg), cfg, tmp_path / "epoch_1.pth")
    for file_format in ("timm", "torch" if end == "pth" else "safetensors"):
        out = str(tmp_path / f"{file_format}.{end}")
        main(["export", str(tmp_path / "epoch_1.pth"), out, "--format", file_format])
        text = capsys.readouterr().out
        notes = [line for line in text.splitlines() if "but this encoder" in line]
        assert len(notes) == (len(printed) if file_format == "timm" else 0)
        assert all(any(part in note for note in notes) for part in printed) or not notes
