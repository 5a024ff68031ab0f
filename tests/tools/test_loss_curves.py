import json

import pytest
from image_folders import write_smooth_images
from tool_runs import run_tool

TOOL = "dev/benchmarks/loss_curves.py"
TINY = json.dumps(dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]))


def test_both_models_have_equal_losses_on_equal_data(tmp_path):
    write_smooth_images(tmp_path / "images", 4, (70, 80), "png")
    file, picture = tmp_path / "curves.json", tmp_path / "curves.png"

    result = run_tool(
        TOOL,
        *(tmp_path / "images", "--arch", TINY, "--steps", 6, "--batch", 2, "--img-size", 64),
        *("--dtype", "float64", "--device", "cpu", "--json", file, "--plot", picture),
    )

    curves = json.loads(file.read_text())
    assert len(curves["ours"]) == len(curves["peer"]) == 6
    assert curves["max_relative_error"] < 1e-6  # our loss itself is computed in float32
    assert curves["ours"][-1] < curves["ours"][0]
    assert "largest relative difference" in result.stdout
    assert picture.stat().st_size > 1000


def test_a_compiled_model_has_the_losses_of_the_eager_one(tmp_path):
    write_smooth_images(tmp_path / "images", 4, (70, 80), "png")
    file = tmp_path / "curves.json"
    options = ("--arch", TINY, "--steps", 5, "--batch", 2, "--img-size", 64, "--device", "cpu")
    result = run_tool(TOOL, tmp_path / "images", *options, "--compile", "aot_eager", "--json", file)
    assert json.loads(file.read_text())["max_relative_error"] < 1e-5
    assert "compiled" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--batch", 3], 2, "--batch: 3 must be even"),
        (["--img-size", 100], 2, "--img-size: 100 must be a multiple of 32"),
        (["--steps", 0], 2, "--steps: 0 must be at least 1"),
        ([], 1, "no images in"),
    ],
)
def test_invalid_arguments_exit_with_one_line(tmp_path, arguments, code, message):
    assert message in run_tool(TOOL, tmp_path, *arguments, code=code).stderr
