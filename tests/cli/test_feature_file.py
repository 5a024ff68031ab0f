"""The command ``embed``: encoders, configs and errors."""

import numpy as np
import pytest
from described_encoders import pretraining, save_checkpoint, trained
from PIL import Image
from two_processes import in_two_processes

import mim_plugins
from mim_plugins.cli.main import main


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    cfg = pretraining("vit")
    cfg.dump(folder / "config.py")
    save_checkpoint(trained(cfg), cfg, folder / "epoch_1.pth")
    mim_plugins.load(folder / "epoch_1.pth").save(folder / "encoder.safetensors")
    (folder / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (50, 60 + number), (80 * number, 9, 9)).save(
            folder / f"images/{number}.png"
        )
    return folder


def embed(*arguments):
    main(["embed", *map(str, arguments), "--device", "cpu", "--workers", "0"])


def test_encoder_and_config_give_the_same_file(run, tmp_path, capsys):
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    embed(run / "encoder.safetensors", run / "images", "--out", one)
    assert capsys.readouterr().out == f"3 images, pooled 16: {one}\n"
    embed(run / "config.py", run / "epoch_1.pth", run / "images", "--out", two)
    with np.load(one) as first, np.load(two) as second:
        assert first["paths"].tolist() == second["paths"].tolist()
        np.testing.assert_array_equal(first["features"], second["features"])


def test_unreadable_images_are_listed_and_named(run, tmp_path):
    for number in range(7):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    with pytest.raises(SystemExit) as stop:
        embed(run / "encoder.safetensors", run / "images", tmp_path, "--out", tmp_path / "a.csv")
    message = stop.value.code
    assert message.startswith(f"error: 7 images cannot be read (all in {tmp_path}/a.csv.corrupt")
    assert message.endswith("; ...")
    assert "4.png" in message
    assert "5.png" not in message
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 4


def test_missing_images_and_encoders_are_one_line(run, tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"^error: none of 1 images can be read: .*none\.png"):
        embed(run / "encoder.safetensors", tmp_path / "none.png", "--out", tmp_path / "a.npz")
    with pytest.raises(SystemExit, match=r"^error: there is no checkpoint"):
        embed(tmp_path / "none.safetensors", run / "images", "--out", tmp_path / "a.npz")
    with pytest.raises(SystemExit):
        embed(run / "config.py", run / "epoch_1.pth")
    assert "give MODEL and images" in capsys.readouterr().err


def embed_in_a_process(rank, *arguments):
    try:
        embed(*arguments)
    except SystemExit as stop:
        return stop.code
    return "no error"


def test_one_of_two_processes_reports(run, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    out = tmp_path / "a.npz"
    arguments = (run / "encoder.safetensors", run / "images", tmp_path / "bad.png", "--out", out)
    codes, returned = in_two_processes(embed_in_a_process, *arguments)
    assert codes == [0, 0]
    assert returned[0].startswith("error: 1 image cannot be read")
    assert returned[1] == "no error"
    with np.load(out) as content:
        assert len(content["paths"]) == 3
