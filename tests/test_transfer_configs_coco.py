"""The COCO configs learn when made small."""

import pytest
import torch
from config_files import CONFIGS as ALL
from config_files import load_config
from mmengine.registry import MODELS, DefaultScope
from tiny_detectors import make_small

from mim_plugins.cli import resolve_precision

pytest.importorskip("mmcv.ops", exc_type=ImportError, reason="needs mmcv with compiled operators")
pytest.importorskip("mmdet", exc_type=ImportError)

ROOT = ALL / "transfer/coco"
CONFIGS = sorted(file.stem for file in ROOT.glob("*.py"))
KINDS = dict(
    mask_rcnn_mixmae_swin_b_36e="swin",
    cascade_mask_rcnn_mixmae_swin_b_36e="swin",
    mask_rcnn_mrmae_mcmae_b_25e="mcmae",
    cascade_mask_rcnn_mrmae_mcmae_b_25e="mcmae",
    mask_rcnn_mrmae_vit_b_25e="vit",
)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


def load(name):
    cfg = load_config(f"transfer/coco/{name}.py")
    resolve_precision(cfg)
    return cfg


def test_there_are_configs():
    assert set(KINDS) < set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_header_states_paper_result_cost_and_command(name):
    header = (ROOT / f"{name}.py").read_text().split('"""')[1]
    for word in ("Paper:", "Result:", "Cost:", f"Command:  tools/dist_train.sh configs/{name}"):
        word = word.replace("configs/", "configs/transfer/coco/")
        assert word in header, word


@pytest.mark.parametrize("name", KINDS)
def test_made_small_every_part_learns_and_detects(name):
    from mmdet.testing import demo_mm_inputs

    cfg = load(name).model
    make_small(cfg, KINDS[name])
    cfg.backbone.update(init_cfg=None, drop_path_rate=0.0)
    model = MODELS.build(cfg)
    batch = demo_mm_inputs(
        2, [[3, 64, 96], [3, 70, 64]], num_items=[2, 2], num_classes=80, with_mask=True
    )

    model.train()
    data = model.data_preprocessor(batch, training=True)
    loss, _ = model.parse_losses(model(**data, mode="loss"))
    loss.backward()
    model.eval()
    with torch.no_grad():
        results = model(**model.data_preprocessor(batch, training=False), mode="predict")

    assert loss.isfinite()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert not without
    assert model.backbone.get_parameter(first_parameter(model.backbone)).grad.abs().sum() > 0
    assert len(results) == 2
    assert all(r.pred_instances.masks.shape[0] == len(r.pred_instances) for r in results)


def first_parameter(backbone):
    return next(name for name, _ in backbone.named_parameters() if name.startswith("patch_embed"))
