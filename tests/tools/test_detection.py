"""Detection as a user runs it: shipped configs, and another project's config with our backbone."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from image_folders import write_coco
from tool_runs import TOOLS, run_process, run_tool

pytest.importorskip("mmcv.ops", exc_type=ImportError, reason="needs mmcv with compiled operators")
pytest.importorskip("mmdet", exc_type=ImportError)

CONFIG = TOOLS.parent / "configs/transfer/coco/mask_rcnn_mixmae_swin_b_36e.py"
MMDET = Path(find_spec("mmdet").origin).parent / ".mim"
STOCK_CONFIG = MMDET / "configs/mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"
IN_THIS_PROCESS = [
    f"{split}_dataloader.{option}"
    for split in ("train", "val", "test")
    for option in ("num_workers=0", "persistent_workers=False")
]
SMALL_HEADS = [
    "model.neck.out_channels=16",
    "model.rpn_head.in_channels=16",
    "model.rpn_head.feat_channels=16",
    "model.roi_head.bbox_roi_extractor.out_channels=16",
    "model.roi_head.mask_roi_extractor.out_channels=16",
    "model.roi_head.bbox_head.in_channels=16",
    "model.roi_head.bbox_head.fc_out_channels=16",
    "model.roi_head.mask_head.in_channels=16",
    "model.roi_head.mask_head.conv_out_channels=16",
    "model.train_cfg.rcnn.sampler.num=16",
    "model.neck.in_channels=[8,16,32,64]",
    # keeps the detections of an untrained model, which are evaluated
    "model.test_cfg.rcnn.score_thr=0.0",
]
SMALL_SWIN = [
    "model.backbone.arch.embed_dims=8",
    "model.backbone.arch.depths=[1,1,1,1]",
    "model.backbone.arch.num_heads=[1,1,2,2]",
]


@pytest.fixture
def coco(tmp_path):
    return write_coco(tmp_path / "coco")


def records(work_dir):
    """Return the logged scalars: one line per iteration or evaluation."""
    files = sorted(Path(work_dir).glob("*/vis_data/scalars.json"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_shipped_config_trains_resumes_and_evaluates(coco, tmp_path):
    small = tmp_path / "small.py"
    small.write_text(
        f"_base_ = {str(CONFIG)!r}\n"
        "model = dict(backbone=dict(init_cfg=None, arch=dict(_delete_=True, embed_dims=8,"
        " depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2))))\n"
    )
    options = [
        *IN_THIS_PROCESS,
        *SMALL_HEADS,
        "train_dataloader.dataset.pipeline.2.scale=(64,64)",
        "train_dataloader.dataset.pipeline.3.crop_size=(64,64)",
        "val_dataloader.dataset.pipeline.1.scale=(64,64)",
        "test_dataloader.dataset.pipeline.1.scale=(64,64)",
        "train_cfg.val_interval=1",
        "default_hooks.logger.interval=1",
    ]
    arguments = ["--data-root", coco, "--work-dir", tmp_path / "run", "--cfg-options", *options]

    run_tool("train.py", small, *arguments, "train_cfg.max_epochs=1")
    first = records(tmp_path / "run")
    resumed = run_tool("train.py", small, "--resume", *arguments, "train_cfg.max_epochs=2")
    run_tool(
        "test.py", small, tmp_path / "run/epoch_2.pth", "--out", tmp_path / "metrics.json",
        *arguments,
    )  # fmt: skip

    losses = [record["loss"] for record in first if "loss" in record]
    assert len(losses) == 1  # one batch of four images
    assert torch.tensor(losses).isfinite().all()
    assert any("coco/bbox_mAP" in record and "coco/segm_mAP" in record for record in first)
    assert "resumed epoch: 1, iter: 1" in resumed.stdout
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {"coco/bbox_mAP", "coco/segm_mAP"} <= set(metrics)


def test_stock_mmdet_config_trains_with_our_backbone_by_options(coco, tmp_path):
    run_process(
        sys.executable, MMDET / "tools/train.py", STOCK_CONFIG,
        "--work-dir", tmp_path / "run", "--cfg-options",
        *IN_THIS_PROCESS, *SMALL_HEADS, *SMALL_SWIN,
        "model.backbone._delete_=True",
        "model.backbone.type=mim_plugins.MaskedSwin",
        "model.backbone.out_indices=[0,1,2,3]",
        f"train_dataloader.dataset.data_root={coco}/",
        f"val_dataloader.dataset.data_root={coco}/",
        f"val_evaluator.ann_file={coco}/annotations/instances_val2017.json",
        "train_dataloader.dataset.pipeline.2.scale=(64,64)",
        "val_dataloader.dataset.pipeline.1.scale=(64,64)",
        "train_cfg.max_epochs=1",
        "default_hooks.logger.interval=1",
    )  # fmt: skip

    logged = records(tmp_path / "run")
    losses = [record["loss"] for record in logged if "loss" in record]
    assert len(losses) == 2  # four images in batches of two
    assert torch.tensor(losses).isfinite().all()
    assert any("coco/segm_mAP" in record for record in logged)
    weights = torch.load(tmp_path / "run/epoch_1.pth", weights_only=False)["state_dict"]
    assert weights["backbone.stages.3.blocks.0.attn.relative_position_bias_table"].shape == (169, 2)
