import json

import pytest
from image_folders import write_smooth_images
from tool_runs import run_tool

TOOL = "dev/benchmarks/data_pipeline.py"
PIPELINES = ["mmpretrain", "ours, fast", "ours, to end", "ours, exact"]


def test_pipelines_are_measured_on_the_same_crops(tmp_path):
    folder, file = write_smooth_images(tmp_path / "images", 5), tmp_path / "result.json"
    options = ("--repeats", 2, "--workers", 1, "--images", 12, "--batch", 4, "--json", file)
    result = run_tool(TOOL, folder, *options)

    for name in PIPELINES:
        assert f" {name} " in result.stdout
    measured = json.loads(file.read_text())
    assert measured["files"] == 5
    assert measured["exact_mean_abs_diff"] == 0
    assert 0 < measured["mean_abs_diff"] < 2
    ratio = measured["images_per_s"] / measured["peer_images_per_s"]
    assert measured["speedup"] == pytest.approx(ratio)
    rows = measured["workers"]["1"]
    assert list(rows) == PIPELINES
    assert rows["ours, fast"]["per_core"]["median"] == measured["images_per_s"]
    for row in rows.values():
        for values in row.values():
            assert 0 < values["min"] <= values["median"] <= values["max"]
    assert rows["mmpretrain"]["speedup"] == dict(median=1, min=1, max=1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--repeats", 0], 2, "--repeats: 0 must be at least 1"),
        (["--workers", 0], 2, "--workers must be from 1 to"),
        (["--images", 100, "--batch", 64, "--workers", 1], 2, "--images must be at least 2"),
        (["--workers", 1, "--images", 128], 1, "no images in"),
    ],
)
def test_invalid_arguments_exit_with_one_line(tmp_path, arguments, code, message):
    assert message in run_tool(TOOL, tmp_path, *arguments, code=code).stderr
