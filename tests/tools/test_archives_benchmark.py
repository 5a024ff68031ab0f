import json

from image_folders import write_smooth_images
from tool_runs import run_tool


def test_folder_and_packs_are_measured(tmp_path):
    folder, file = write_smooth_images(tmp_path / "images", 4), tmp_path / "result.json"
    few = ("--images", 8, "--batch", 4, "--repeats", 1, "--formats", "parquet", "--quality", 40)
    options = (*few, "--short-side", 80, "--json", file)
    printed = run_tool("dev/benchmarks/archives.py", folder, *options).stdout
    rows = json.loads(file.read_text())
    assert list(rows)[:4] == ["mmpretrain", "folder", "parquet", "parquet, 80 px"]
    for name, row in rows.items():
        assert f"\n{name} " in printed
        assert 0 < row["per_core"]["min"] <= row["per_core"]["max"]
        assert row["difference"] == 0 or "80 px" in name
    assert rows["parquet, 80 px"]["megabytes"] < rows["parquet"]["megabytes"]
    assert 0 < rows["parquet, 80 px"]["difference"] < 9
