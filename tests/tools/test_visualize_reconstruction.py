"""tools/analysis_tools/visualize_reconstruction.py as a user calls it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from tool_runs import run_tool

from mim_plugins.registry import MODELS

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools/analysis_tools/visualize_reconstruction.py"
CONFIG = ROOT / "configs/quickstart/mixmae_digits.py"


@pytest.fixture
def images(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for index in range(3):
        pixels = generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{index}.png")
    return tmp_path / "images"


def call(*arguments, **kwargs):
    tool = [sys.executable, str(TOOL)]
    return subprocess.run(
        [*tool, *map(str, arguments)], capture_output=True, text=True, timeout=300, **kwargs
    )


def save(tmp_path, keep=""):
    weights = MODELS.build(Config.fromfile(CONFIG).model).state_dict()
    torch.save({n: t for n, t in weights.items() if n.startswith(keep)}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_folder_of_images_becomes_a_picture(tmp_path, images):
    out = tmp_path / "new/picture.png"
    result = call(CONFIG, save(tmp_path), images, "--out", out)
    assert result.returncode == 0, result.stderr
    picture = np.asarray(Image.open(out))
    # 2 rows of 5 images of 32 pixels, magnified 4 times
    assert picture.shape[1] == 6 + 5 * (128 + 6)
    assert picture.shape[0] > 2 * (128 + 6)


def test_a_checkpoint_without_decoder_is_refused(tmp_path, images):
    result = call(CONFIG, save(tmp_path, keep="backbone."), images, cwd=tmp_path)
    assert result.returncode == 1
    assert "has no decoder" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "reconstructions.png").exists()


def test_a_missing_image_is_named(tmp_path):
    result = call(CONFIG, save(tmp_path), tmp_path / "nowhere.png", cwd=tmp_path)
    assert result.returncode == 1
    assert "error: there is no image" in result.stderr


def test_limited_images_are_spread_over_the_folder(tmp_path, images, monkeypatch, capsys):
    """The first sorted files all belong to one class."""
    chosen = []

    def note(model, files, seed):
        chosen.extend(file.name for file in files)
        raise ValueError("seen enough")

    monkeypatch.setattr("mim_plugins.apis.reconstruct", note)
    for index in range(3, 12):
        (images / f"{index:02d}.png").write_bytes((images / "0.png").read_bytes())
    arguments = [CONFIG, save(tmp_path), images, "--max-images", 4]
    result = run_tool(TOOL, arguments, monkeypatch, capsys)
    assert "seen enough" in result.stderr
    assert chosen == sorted(file.name for file in images.iterdir())[::3]


@pytest.mark.parametrize(("option", "value"), [("--max-images", 0), ("--out", "picture.txt")])
def test_invalid_values_are_refused_immediately(tmp_path, monkeypatch, capsys, option, value):
    arguments = [CONFIG, "none.pth", "none.png", option, value]
    result = run_tool(TOOL, arguments, monkeypatch, capsys)
    assert result.returncode == 1
    assert f"error: {option} " in result.stderr
