import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PIPELINES = ["mmpretrain", "ours, fast", "ours, to end", "ours, exact"]


def benchmark(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "tools/dev/benchmarks/data_pipeline.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(5):
        small = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((150 + number, 120), Image.Resampling.BICUBIC)
        image.save(tmp_path / "images" / f"{number}.jpg")
    return tmp_path / "images"


def test_pipelines_are_measured_on_the_same_crops(tmp_path, folder):
    file = tmp_path / "result.json"

    result = benchmark(
        folder, "--repeats", 2, "--workers", 1, "--images", 12, "--batch", 4, "--json", file
    )

    assert result.returncode == 0, result.stderr
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
    ("arguments", "message"),
    [
        (["--repeats", 0], "--repeats: 0 must be at least 1"),
        (["--workers", 0], "--workers must be from 1 to"),
        (["--images", 100, "--batch", 64, "--workers", 1], "--images must be at least 2"),
        (["--workers", 1, "--images", 128], "no images in"),
    ],
)
def test_invalid_arguments_exit_with_one_line(tmp_path, arguments, message):
    result = benchmark(tmp_path, *arguments)

    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
