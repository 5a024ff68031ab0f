"""The installed package: content of the wheel, and modules that an import loads."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from image_folders import write_images

from mim_plugins.compat import breaks_multimodal_models

ROOT = Path(__file__).parents[1]


def run(*command, **kwargs):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **kwargs
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def working_tree(*folders):
    """Return every file of the checkout that git does not ignore."""
    names = run(
        *("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), *folders, cwd=ROOT
    ).split("\0")
    return [name for name in names if name and os.path.lexists(ROOT / name)]


IMPORT = """
import sys, warnings, mim_plugins
print([m for m in {heavy} if m in sys.modules])
warnings.showwarning = lambda message, *more: print(message)
warnings.warn("Fail to import ``MultiScaleDeformableAttention`` from ``mmcv.ops``")
warnings.warn("other")
"""


def test_import_loads_no_optional_package_and_hides_one_warning():
    heavy = ("mmcv", "mmdet", "mmpretrain", "mmseg", "open_clip", "timm")
    if breaks_multimodal_models():  # mmpretrain is imported to be adapted
        heavy = ("mmdet", "mmseg", "open_clip", "timm", "mmpretrain.models", "mmpretrain.datasets")
    assert run(sys.executable, "-c", IMPORT.format(heavy=heavy)) == "[]\nother\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # a copy, since building leaves folders behind
    for name in working_tree():
        copy = source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", folder, source),
    )
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def outside(wheel, tmp_path_factory):
    """Return a function that runs Python code outside the checkout, with the installed wheel."""
    folder = tmp_path_factory.mktemp("outside")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    env = dict(os.environ, PYTHONPATH=str(folder / "site"))

    def run_outside(code, **files):
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(text)
        return run(sys.executable, "-c", code, cwd=folder, env=env)

    run_outside.site, run_outside.env = folder / "site", env
    return run_outside


def test_wheel_holds_every_config_tool_and_metafile(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [
        name
        for name in working_tree("configs", "tools", "model-index.yml")
        if name.endswith((".py", ".sh", ".yml"))
    ]
    for_development = re.compile(r"tools/(dev/|quickstart\.sh|run_tests\.sh)")
    shipped = {name for name in files if not for_development.match(name)}
    prefix = "mim_plugins/.mim/"
    assert {f"{prefix}{name}" for name in shipped} - names == set()
    assert not [n for n in names if for_development.match(n.removeprefix(prefix))]
    assert "tools/misc/launch.py" in shipped
    assert "mim_plugins/.mim/model-index.yml" in names
    assert "mim_plugins/py.typed" in names


INSTALLED = """
import mim_plugins, yaml
from mmengine.config import Config
mim = mim_plugins.CONFIG_DIR.parent
files = yaml.safe_load((mim / 'model-index.yml').read_text())['Import']
models = [m for f in files for m in yaml.safe_load((mim / f).read_text())['Models']]
assert len(models) > 50
print(mim, [m['Config'] for m in models if not (mim / m['Config']).is_file()])
cfg = Config.fromfile(mim_plugins.CONFIG_DIR / 'mixmae/swin_l_600e.py')
print(mim_plugins.__file__, cfg.model.backbone.arch)
"""


def test_installed_wheel_finds_its_configs_outside_the_checkout(outside):
    package = outside.site / "mim_plugins"
    assert outside(INSTALLED).split() == [
        *(f"{package}/.mim", "[]"), *(f"{package}/__init__.py", "large"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "arguments", "printed"),
    [
        ("check_parity.py", [ROOT / "tests/data/mixmim_tiny.npz"], "passed: "),
        ("misc/check_dataset.py", ["images", "--workers", "2"], "8 images: 8 good, 0 corrupt"),
        ("dataset_converters/prepare_dataset.py", ["pack", "images", "a.tar"], "8 images, "),
        ("analysis_tools/gpu_cost.py", ["quickstart/mixmae_digits", "--table"], "| mixmae_digits"),
    ],
)
def test_tools_of_the_wheel_find_their_modules(outside, tmp_path, tool, arguments, printed):
    write_images(tmp_path / "images", 8, (20, 30))
    path = outside.site / "mim_plugins/.mim/tools" / tool
    assert printed in run(sys.executable, path, *arguments, cwd=tmp_path, env=outside.env)


def test_configs_inherit_from_ours_in_any_program(outside):
    # like mmpretrain's tools/train.py, the program does not import mim_plugins
    output = outside(
        "import sys\n"
        "from mmengine.config import Config\n"
        "assert 'mim_plugins' not in sys.modules\n"
        "cfg = Config.fromfile('inheriting.py')\n"
        "print(cfg.model.head.num_classes, cfg.model.backbone.arch, cfg.train_cfg.max_epochs)\n"
        "from mmengine.registry import init_default_scope\n"
        "from mmpretrain.registry import TRANSFORMS\n"
        "init_default_scope(cfg.default_scope)\n"
        "steps = [TRANSFORMS.build(t) for t in cfg.train_dataloader.dataset.pipeline]\n"
        "print(len(steps) == len(cfg.train_pipeline), sys.modules['mim_plugins'].__file__)",
        inheriting=(
            "_base_ = f\"{__import__('mim_plugins').CONFIG_DIR}/mixmae/swin_b_finetune_100e.py\"\n"
            "train_pipeline = _base_.train_pipeline\n"
            "train_dataloader = dict(dataset=dict(pipeline=train_pipeline))\n"
            "model = dict(head=dict(num_classes=7))\n"
        ),
    )
    ours = ["7 base 100", f"True {outside.site / 'mim_plugins/__init__.py'}"]
    # onedl-mmengine prints a separate line
    assert [line for line in output.splitlines() if "OneDL" not in line] == ours
