"""Notebooks in docs/examples, whose cells run here without Jupyter."""

import json
from pathlib import Path

import numpy as np
import pytest
from described_encoders import encoder_of
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "docs/examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def cells(notebook, kind="code"):
    content = json.loads(notebook.read_text())
    assert content["nbformat"] == 4
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_contain_no_outputs(notebook):
    for cell in cells(notebook):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_similar_images_and_duplicates_are_found(tmp_path, monkeypatch, capsys):
    generator = np.random.default_rng(0)
    (tmp_path / "photographs").mkdir()
    for number in range(6):
        small = Image.fromarray(generator.integers(0, 256, (3, 3, 3), dtype=np.uint8))
        image = small.resize((140, 120), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"photographs/{number}.png")
        if number in (0, 4):
            image.save(tmp_path / f"photographs/{number}_copy.jpg", quality=95)
    (tmp_path / "photographs/broken.png").write_bytes(b"x")
    encoder_of("vit").save(tmp_path / "encoder.safetensors")
    monkeypatch.chdir(tmp_path)

    variables = {}
    for cell in cells(EXAMPLES / "find_similar_images.ipynb"):
        exec("".join(cell["source"]), variables)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "8 images, 1 left out"
    assert lines[1].startswith("1.000  photographs/0.png")
    assert lines[2].endswith("photographs/0_copy.jpg")
    pairs = [f"photographs/{n}.png photographs/{n}_copy.jpg" for n in (0, 4)]
    assert lines[6:] == pairs
    with Image.open("similar.png") as picture:
        assert picture.size == (5 * 160, 160)
