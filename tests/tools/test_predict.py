"""tools/analysis_tools/predict.py and test.py as a user calls them, after a tiny training."""

import json
import re

import cv2
import numpy as np
import pytest
import torch
from image_files import exif
from image_folders import COLORS, write_colors
from PIL import Image
from tool_runs import TOOLS, run_tool

TOOL = "analysis_tools/predict.py"

pytest.importorskip("mmpretrain", exc_type=ImportError)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a classifier of colors, and return config, checkpoint and data."""
    folder = write_colors(tmp_path_factory.mktemp("predict"), 8, 4, side=32)
    config = folder / "colors.py"
    config.write_text(
        f"""
_base_ = {str(TOOLS.parent / "configs/mixmae/swin_b_finetune_100e.py")!r}
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
    run_tool("train.py", config, "--data-root", folder, "--work-dir", folder / "run")
    return config, folder / "run/epoch_1.pth", folder


def test_test_py_prints_the_accuracy(trained):
    config, checkpoint, folder = trained
    out = folder / "metrics.json"

    options = ("--data-root", folder, "--work-dir", folder / "test", "--out", out)
    result = run_tool("test.py", config, checkpoint, *options)

    assert json.loads(out.read_text())["accuracy/top1"] > 90
    assert "accuracy/top1" in result.stdout + result.stderr


def test_classes_and_probabilities_are_printed_in_order(trained):
    config, checkpoint, folder = trained
    images = [folder / f"val/{name}/00.png" for name in COLORS]

    result = run_tool(TOOL, config, checkpoint, *images)

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
def predict(trained):
    """Return the lines that the tool prints below each image."""

    def call(*images):
        parts = run_tool(TOOL, *trained[:2], *images).stdout
        for image in images:
            parts = parts.replace(f"{image}\n", "\0")
        return [part.splitlines() for part in parts.split("\0")[1:]]

    return call


def test_scores_do_not_depend_on_how_an_image_is_stored(trained, predict, tmp_path):
    folder = trained[2]
    pixels = np.asarray(Image.open(folder / "val/red/00.png"))
    upright = Image.fromarray(pixels)
    tag = exif(6, "LONG", ">")  # OpenCV ignores this tag
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=tag)
    cv2.imwrite(str(tmp_path / "16.png"), pixels[..., ::-1].astype(np.uint16) * 257)
    upright.putalpha(100)
    upright.save(tmp_path / "clear.png")
    names = ("turned.png", "16.png", "clear.png")

    expected, *others = predict(folder / "val/red/00.png", *(tmp_path / name for name in names))

    assert len(expected) == 3
    assert all(lines == expected for lines in others)


def test_batches_of_mixed_sizes_do_not_change_scores(trained, predict, tmp_path):
    image = Image.open(trained[2] / "val/blue/00.png")
    for side in (32, 64):
        image.resize((side, side)).save(tmp_path / f"{side}.png")
    paths = [tmp_path / "32.png", tmp_path / "64.png"]
    assert predict(*paths) == [predict(path)[0] for path in paths]


def test_topk_limits_the_list(trained):
    config, checkpoint, folder = trained
    result = run_tool(TOOL, config, checkpoint, folder / "val/red/00.png", "--topk", 1)
    assert len([line for line in result.stdout.splitlines() if " %  " in line]) == 1


@pytest.mark.parametrize(
    ("config", "checkpoint", "image", "message"),
    [
        (None, "none.pth", None, "there is no file 'none.pth'"),
        (None, None, "none.jpg", "there is no file 'none.jpg'"),
        (None, None, "text.jpg", "text.jpg"),
        ("mixmae/swin_b_600e", None, None, "is no classification config"),
    ],
)
def test_unusable_files_exit_with_one_line(
    trained, monkeypatch, config, checkpoint, image, message
):
    monkeypatch.chdir(trained[2])
    (trained[2] / "text.jpg").write_text("no image")
    given = (config or trained[0], checkpoint or trained[1], image or "val/red/00.png")
    assert message in run_tool(TOOL, *given, code=1).stderr


@pytest.mark.parametrize("tool", ["test.py", TOOL])
def test_a_checkpoint_without_all_weights_is_refused(trained, tool):
    """Without this check, MMEngine would evaluate random weights."""
    config, checkpoint, folder = trained
    weights = torch.load(checkpoint, weights_only=False)["state_dict"]
    del weights["head.fc.bias"]
    torch.save(dict(state_dict=weights), folder / "part.pth")
    more = (
        [folder / "val/red/00.png"]
        if "predict" in tool
        else ["--data-root", folder, "--work-dir", folder / "x"]
    )

    error = run_tool(tool, config, folder / "part.pth", *more, code=1).stderr
    assert re.search(r"error: '.*part\.pth' .*head\.fc\.bias", error)


def test_invalid_names_for_metrics_are_refused_before_the_run(trained):
    config, checkpoint, _ = trained
    result = run_tool("test.py", config, checkpoint, "--out", "metrics.txt", code=2)
    assert "--out 'metrics.txt' must end in one of .json .pkl" in result.stderr
