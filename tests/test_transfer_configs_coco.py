"""The COCO configs learn when made small."""

import pytest
import torch
from config_files import CONFIGS as ALL
from config_files import load_config
from mmengine.registry import MODELS, DefaultScope

from mim_plugins.cli import resolve_precision

pytest.importorskip("mmcv.ops", exc_type=ImportError, reason="needs mmcv with compiled operators")
pytest.importorskip("mmdet", exc_type=ImportError)

ROOT = ALL / "transfer/coco"
CONFIGS = sorted(file.stem for file in ROOT.glob("*.py"))
# each kind of backbone, neck and detector, as narrow as they get
TINY_ENCODERS = dict(
    swin=(dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)), [8, 16, 32, 64]),
    mcmae=(
        dict(depths=(1, 1, 2), embed_dims=(8, 16, 32), mlp_ratios=(2, 2, 2), num_heads=2),
        [8, 16, 32, 32],
    ),
    vit=(dict(depth=2, embed_dims=8, num_heads=2), 8),
)
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

    arch, channels = TINY_ENCODERS[KINDS[name]]
    cfg = load(name).model
    cfg.backbone.update(arch=arch, init_cfg=None, drop_path_rate=0.0)
    if "global_blocks" in cfg.backbone:
        cfg.backbone.global_blocks = (1,)
    (cfg.neck[-1] if isinstance(cfg.neck, list) else cfg.neck).in_channels = channels
    cfg.data_preprocessor.pad_size_divisor = 32  # the square of the full size is slow
    cfg.rpn_head.feat_channels = 256
    heads = cfg.roi_head.bbox_head
    for head in heads if isinstance(heads, list) else [heads]:
        head.fc_out_channels = 16
    rcnn = cfg.train_cfg.rcnn
    for part in rcnn if isinstance(rcnn, list) else [rcnn]:
        part.sampler.num = 8
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
