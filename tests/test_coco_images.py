"""Real images of COCO reach the detectors as padded squares, and boxes return to the images."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mim_plugins.cli import run_config

pytest.importorskip("mmcv.ops", exc_type=ImportError, reason="needs mmcv with compiled operators")
pytest.importorskip("mmdet", exc_type=ImportError)

DATA = Path(os.environ.get("MIM_PLUGINS_DATA", "missing"), "coco_sample")
CONFIG = Path(__file__).parents[1] / "configs/transfer/coco/mask_rcnn_mrmae_vit_b_25e.py"
SIDE = 1024

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="MIM_PLUGINS_DATA has no coco_sample")


@pytest.fixture(scope="module")
def cfg():
    cfg = Config.fromfile(CONFIG)
    run_config.apply_data_root(cfg, str(DATA))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    return cfg


def first_batch(cfg, loader, training):
    with DefaultScope.overwrite_default_scope("mmdet"):
        preprocessor = MODELS.build(cfg.model.data_preprocessor)
        batch = next(iter(Runner.build_dataloader(cfg[loader], seed=0)))
        return batch["inputs"], preprocessor(batch, training=training)


def test_training_images_and_masks_are_padded_to_the_square(cfg):
    loaded, batch = first_batch(cfg, "train_dataloader", training=True)
    assert {image.shape for image in loaded} != {(3, SIDE, SIDE)}
    assert batch["inputs"].shape == (4, 3, SIDE, SIDE)
    for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
        height, width = sample.img_shape
        assert not image[:, height:].any()
        assert not image[:, :, width:].any()
        masks = sample.gt_instances.masks.masks
        assert masks.shape[1:] == (SIDE, SIDE)
        assert not masks[:, height:].any()
        assert not masks[:, :, width:].any()


def test_boxes_of_test_images_return_to_the_original_image(cfg):
    _, batch = first_batch(cfg, "val_dataloader", training=False)
    (sample,) = batch["data_samples"]
    assert batch["inputs"].shape == (1, 3, SIDE, SIDE)
    assert max(sample.img_shape) == SIDE > min(sample.img_shape)
    # a box of the padded square, clipped to the image and rescaled as the heads do
    height, width = sample.img_shape
    box = torch.tensor([0.0, 0.0, SIDE, SIDE])
    clipped = box.clamp(max=torch.tensor([width, height, width, height]))
    rescaled = clipped / torch.tensor(sample.scale_factor).repeat(2)
    original = torch.tensor(sample.ori_shape[::-1])
    torch.testing.assert_close(rescaled[2:], original.float(), atol=1e-3, rtol=1e-4)
