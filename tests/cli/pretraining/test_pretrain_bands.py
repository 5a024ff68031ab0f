"""Pre-training on images of four bands, and the commands that use its encoder."""

import numpy as np
import pytest
import torch
from band_images import write_scenes
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer
from PIL import Image

from mim_plugins import extract_features, get_model, load
from mim_plugins.cli.main import main

pytest.importorskip("tifffile")
SMALL = ("--method", "mae", "--arch", "vit-t", "--img-size", "32x48", "--batch-size", "4")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run on TIFF and NumPy files with holes."""
    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()
    folder = tmp_path_factory.mktemp("bands")
    for split in ("train", "val"):
        write_scenes(folder / "data" / split / "a", 3, bands=4, dtype=np.float32)
        write_scenes(folder / "data" / split / "b", 3, ".npy", bands=4, dtype=np.float32)
    hole = folder / "data/train/b/00.npy"
    pixels = np.load(hole)
    pixels[:9] = np.nan
    np.save(hole, pixels)
    options = ("--channels", "4", "--shown-bands", "3,1,0", "--epochs", "1")
    main(["pretrain", str(folder / "data"), *SMALL, *options, "--out", str(folder / "run")])
    return folder


def test_run_ends_with_a_picture_of_its_bands(finished):
    with Image.open(finished / "run/reconstruction.png") as picture:
        assert np.asarray(picture).std() > 30
    assert (finished / "run/encoder.safetensors").is_file()


def test_exported_encoder_reads_the_bands_as_in_training(finished):
    paths = sorted((finished / "data").rglob("*.npy"))
    model = get_model(finished / "run.py", finished / "run/epoch_1.pth")
    encoder = load(finished / "run/encoder.safetensors")
    expected = extract_features(model, paths).pooled
    torch.testing.assert_close(extract_features(encoder, paths).pooled, expected)


def test_features_and_neighbors_of_the_run_are_found(finished, capsys):
    run = (str(finished / "run.py"), str(finished / "run/epoch_1.pth"))
    out = finished / "features.npz"
    main(["embed", *run, str(finished / "data/val"), "--out", str(out)])
    content = np.load(out)
    assert content["features"].shape == (6, 192)
    assert np.isfinite(content["features"]).all()
    main(["knn", *run, "--k", "3", "--workers", "0", "--data-root", str(finished / "data")])
    assert "6 references, 6 queries, 192 features" in capsys.readouterr().out
    main(["reconstruct", *run, str(finished / "data/val"), "--out", str(finished / "x.png")])
    assert "6 images, 3 panels each" in capsys.readouterr().out
