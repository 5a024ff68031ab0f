import numpy as np
import pytest
import torch
from image_folders import write_images
from mmengine.config import Config
from PIL import Image
from tool_runs import TOOLS, run_tool

from mim_plugins.registry import MODELS

TOOL = "analysis_tools/visualize_reconstruction.py"
CONFIG = TOOLS.parent / "configs/quickstart/mixmae_digits.py"


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_images(tmp_path / "images", 3, (40, 50), "png")


@pytest.fixture(scope="module")
def weights():
    return MODELS.build(Config.fromfile(CONFIG).model).state_dict()


def save(folder, weights, keep=""):
    torch.save({n: t for n, t in weights.items() if n.startswith(keep)}, folder / "w.pth")
    return folder / "w.pth"


def test_folder_of_images_becomes_a_picture(tmp_path, images, weights):
    out = tmp_path / "new/picture.png"
    run_tool(TOOL, CONFIG, save(tmp_path, weights), images, "--out", out)
    picture = np.asarray(Image.open(out))
    # 2 rows of 5 images of 32 pixels, magnified 4 times
    assert picture.shape[1] == 6 + 5 * (128 + 6)
    assert picture.shape[0] > 2 * (128 + 6)


def test_picture_replaces_no_image_and_is_written_at_once(tmp_path, images, weights, monkeypatch):
    image = next(images.iterdir())
    content, file = image.read_bytes(), save(tmp_path, weights)
    result = run_tool(TOOL, CONFIG, file, images, "--out", image, "--force", code=1)
    assert f"error: --out: '{image}' is read by this command: give another file" in result.stderr
    assert image.read_bytes() == content

    def fail(self, path, kind):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    out = tmp_path / "picture.webp"
    run_tool(TOOL, CONFIG, file, images, "--out", out)
    content = out.read_bytes()
    monkeypatch.setattr(Image.Image, "save", fail)
    result = run_tool(TOOL, CONFIG, file, images, "--out", out, "--force", code=1)
    assert "error: " in result.stderr
    assert "No space left" in result.stderr
    assert out.read_bytes() == content
    assert not list(tmp_path.glob("*.partial"))


def test_missing_decoders_and_images_are_refused(tmp_path, images, weights):
    encoder = save(tmp_path, weights, keep="backbone.")
    assert "has no decoder" in run_tool(TOOL, CONFIG, encoder, images, code=1).stderr
    complete = save(tmp_path, weights)
    result = run_tool(TOOL, CONFIG, complete, tmp_path / "nowhere.png", code=1)
    assert "error: there is no image" in result.stderr
    assert not (tmp_path / "reconstructions.png").exists()


@pytest.mark.parametrize(("option", "value"), [("--max-images", 0), ("--out", "picture.txt")])
def test_invalid_values_are_refused_immediately(option, value):
    result = run_tool(TOOL, CONFIG, "none.pth", "none.png", option, value, code=2)
    assert f"error: {option} " in result.stderr
