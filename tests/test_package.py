"""The package as it is installed: what the wheel holds, what importing it loads."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command, **kwargs):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **kwargs
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_import_loads_none_of_the_optional_packages():
    heavy = ("mmcv", "mmdet", "mmpretrain", "mmseg", "open_clip", "timm")
    loaded = run(
        sys.executable,
        "-c",
        f"import sys, mim_plugins; print([m for m in {heavy} if m in sys.modules])",
    )
    assert loaded.strip() == "[]"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # a copy, since building leaves folders behind
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, source)
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", folder, source),
    )
    (file,) = folder.glob("*.whl")
    return file


def test_wheel_holds_every_config_and_tool(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "ls-files", "configs", "tools", cwd=ROOT).split()
    shipped = {f"mim_plugins/.mim/{name}" for name in tracked}
    assert shipped - names == set()
    assert "mim_plugins/py.typed" in names


def test_installed_wheel_finds_its_configs_outside_the_checkout(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    output = run(
        sys.executable,
        "-c",
        "import mim_plugins\n"
        "from mmengine.config import Config\n"
        "cfg = Config.fromfile(mim_plugins.CONFIG_DIR / 'mixmae/swin_l_600e.py')\n"
        "print(mim_plugins.__file__, cfg.model.backbone.arch)",
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(tmp_path / "site")),
    )
    assert str(tmp_path / "site") in output
    assert output.split()[-1] == "large"
