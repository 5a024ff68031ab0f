import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / "tools/dev/benchmarks/loss_curves.py"
TINY = json.dumps(dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]))


def run(*arguments):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def test_both_models_have_equal_losses_on_equal_data(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(4):
        small = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((80, 70), Image.Resampling.BICUBIC)
        image.save(tmp_path / f"images/{number}.png")
    file, picture = tmp_path / "curves.json", tmp_path / "curves.png"

    result = run(
        *(tmp_path / "images", "--arch", TINY, "--steps", 6, "--batch", 2, "--img-size", 64),
        *("--dtype", "float64", "--device", "cpu", "--json", file, "--plot", picture),
    )

    assert result.returncode == 0, result.stderr
    curves = json.loads(file.read_text())
    assert len(curves["ours"]) == len(curves["peer"]) == 6
    assert curves["max_relative_error"] < 1e-6  # our loss itself is computed in float32
    assert curves["ours"][-1] < curves["ours"][0]
    assert "largest relative difference" in result.stdout
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", 3], "--batch: 3 must be even"),
        (["--img-size", 100], "--img-size: 100 must be a multiple of 32"),
        (["--steps", 0], "--steps: 0 must be at least 1"),
        ([], "no images in"),
    ],
)
def test_invalid_arguments_exit_with_one_line(tmp_path, arguments, message):
    result = run(tmp_path, *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
