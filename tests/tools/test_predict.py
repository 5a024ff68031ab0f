"""tools/analysis_tools/predict.py and test.py as a user calls them, after a tiny training."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from image_files import exif
from PIL import Image
from tool_runs import run_tool

from mim_plugins.errors import DataNotFoundError

ROOT = Path(__file__).parents[2]
TOOL = "tools/analysis_tools/predict.py"
COLORS = dict(blue=2, green=1, red=0)

pytest.importorskip("mmpretrain", exc_type=ImportError)


def run(*command, code=0):
    result = subprocess.run(
        [str(part) for part in (sys.executable, *command)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES=""),
        timeout=300,
    )
    assert result.returncode == code, result.stdout[-3000:] + result.stderr[-3000:]
    return result


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a classifier of colors, and return config, checkpoint and data."""
    folder = tmp_path_factory.mktemp("predict")
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for name, channel in COLORS.items():
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 40, (32, 32, 3), dtype=np.uint8)
                pixels[..., channel] += 200
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")
    config = folder / "colors.py"
    config.write_text(
        f"""
_base_ = {str(ROOT / "configs/mixmae/swin_b_finetune_100e.py")!r}
model = dict(
    backbone=dict(
        arch=dict(_delete_=True, embed_dims=[8, 16], depths=[1, 1], num_heads=[1, 2]),
        img_size=32, window_size=4, init_cfg=None,
    ),
    head=dict(num_classes=3, in_channels=16),
    train_cfg=dict(augments=None),
)
data_preprocessor = dict(num_classes=3)
pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]
settings = dict(batch_size=8, num_workers=0, persistent_workers=False, pin_memory=False)
dataset = dict(_delete_=True, type="CustomDataset", pipeline=pipeline)
train_dataloader = dict(
    **settings,
    dataset=dict(_delete_=True, type="RepeatDataset", times=20,
                 dataset=dict(type="CustomDataset", pipeline=pipeline, data_prefix="train")),
)
val_dataloader = dict(**settings, dataset=dict(**dataset, data_prefix="val"))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator
optim_wrapper = dict(optimizer=dict(lr=0.01), paramwise_cfg=dict(layer_decay_rate=1.0))
param_scheduler = []
train_cfg = dict(max_epochs=1, val_interval=1)
"""
    )
    run("tools/train.py", config, "--data-root", folder, "--work-dir", folder / "run")
    return config, folder / "run/epoch_1.pth", folder


def test_test_py_prints_the_accuracy(trained):
    config, checkpoint, folder = trained
    out = folder / "metrics.json"

    result = run("tools/test.py", config, checkpoint, "--data-root", folder, "--work-dir",
                 folder / "test", "--out", out)  # fmt: skip

    assert json.loads(out.read_text())["accuracy/top1"] > 90
    assert "accuracy/top1" in result.stdout + result.stderr


def test_images_get_their_classes_with_probabilities_in_order(trained):
    config, checkpoint, folder = trained
    images = [folder / f"val/{name}/0.png" for name in COLORS]

    result = run(TOOL, config, checkpoint, *images)

    blocks = re.split(r"^(?=\S)", result.stdout, flags=re.MULTILINE)
    blocks = [block.splitlines() for block in blocks if block.startswith(str(folder))]
    assert [block[0] for block in blocks] == [str(image) for image in images]
    for label, (name, (_, *lines)) in enumerate(zip(COLORS, blocks, strict=True)):
        rows = [line.split() for line in lines]
        assert rows[0][1:] == ["%", str(label), name]
        scores = [float(row[0]) for row in rows]
        assert scores == sorted(scores, reverse=True)
        # all three classes are shown
        assert sum(scores) == pytest.approx(100, abs=0.05)


@pytest.fixture
def predict(trained, monkeypatch, capsys):
    """Run the tool in this process, and return the lines below each image."""

    def call(*images):
        config, checkpoint, _ = trained
        result = run_tool(ROOT / TOOL, [config, checkpoint, *images], monkeypatch, capsys)
        assert result.returncode == 0, result.stderr
        parts = result.stdout
        for image in images:
            parts = parts.replace(f"{image}\n", "\0")
        return [part.splitlines() for part in parts.split("\0")[1:]]

    return call


def test_scores_do_not_depend_on_how_an_image_is_stored(trained, predict, tmp_path):
    folder = trained[2]
    pixels = np.asarray(Image.open(folder / "val/red/0.png"))
    upright = Image.fromarray(pixels)
    tag = exif(6, "LONG", ">")  # OpenCV ignores this tag
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=tag)
    cv2.imwrite(str(tmp_path / "16.png"), pixels[..., ::-1].astype(np.uint16) * 257)
    upright.putalpha(100)
    upright.save(tmp_path / "clear.png")
    names = ("turned.png", "16.png", "clear.png")

    expected, *others = predict(folder / "val/red/0.png", *(tmp_path / name for name in names))

    assert len(expected) == 3
    assert all(lines == expected for lines in others)


def test_batches_of_mixed_sizes_do_not_change_scores(trained, predict, tmp_path):
    image = Image.open(trained[2] / "val/blue/0.png")
    for side in (32, 64):
        image.resize((side, side)).save(tmp_path / f"{side}.png")
    paths = [tmp_path / "32.png", tmp_path / "64.png"]
    assert predict(*paths) == [predict(path)[0] for path in paths]


def test_topk_limits_the_list(trained):
    config, checkpoint, folder = trained
    result = run(TOOL, config, checkpoint, folder / "val/red/0.png", "--topk", 1)
    assert len([line for line in result.stdout.splitlines() if " %  " in line]) == 1


@pytest.mark.parametrize(
    ("config", "checkpoint", "image", "message"),
    [
        (None, "none.pth", None, "there is no file 'none.pth'"),
        (None, None, "none.jpg", "there is no file 'none.jpg'"),
        ("configs/mixmae/swin_b_600e.py", None, None, "is no classification config"),
    ],
)
def test_missing_files_exit_with_one_line(trained, config, checkpoint, image, message):
    result = run(
        TOOL,
        config or trained[0],
        checkpoint or trained[1],
        image or trained[2] / "val/red/0.png",
        code=1,
    )
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_file_that_is_no_image_exits_with_one_line(trained):
    config, checkpoint, folder = trained
    (folder / "text.jpg").write_text("no image")

    result = run(TOOL, config, checkpoint, folder / "text.jpg", code=1)

    assert "text.jpg" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("tool", ["tools/test.py", TOOL])
def test_a_checkpoint_without_all_weights_is_refused(trained, tool):
    """MMEngine would evaluate random weights."""
    config, checkpoint, folder = trained
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    del weights["head.fc.bias"]
    torch.save(dict(state_dict=weights), folder / "part.pth")
    more = (
        [folder / "val/red/0.png"]
        if "predict" in tool
        else ["--data-root", folder, "--work-dir", folder / "x"]
    )

    result = run(tool, config, folder / "part.pth", *more, code=1)

    assert re.search(r"error: '.*part\.pth' .*head\.fc\.bias", result.stderr)
    assert "Traceback" not in result.stderr


def test_invalid_names_for_metrics_are_refused_before_the_run(trained):
    config, checkpoint, _ = trained
    result = run("tools/test.py", config, checkpoint, "--out", "metrics.txt", code=2)
    assert "--out 'metrics.txt' must end in one of .json .pkl" in result.stderr


def test_corrupt_images_in_folders_are_skipped_and_reported(tmp_path):
    good, bad = tmp_path / "images/sub/good.png", tmp_path / "images/bad.png"
    good.parent.mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(good)
    bad.write_bytes(b"x")
    (tmp_path / "images/.hidden.png").write_bytes(b"x")
    readable_images = runpy.run_path(str(ROOT / TOOL))["readable_images"]

    readable, damage = readable_images([str(tmp_path / "images"), str(good)])

    assert readable == [str(good), str(good)]
    (message,) = damage
    assert "bad.png': not an image" in message
    with pytest.raises(DataNotFoundError, match=r"bad\.png': not an image"):
        readable_images([str(bad)])
