"""The COCO configs build at full size with five levels of one width, and learn when made small."""

import pytest
import torch
from config_files import CONFIGS as ALL
from config_files import load_config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, TRANSFORMS, DefaultScope

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
        [8, 16, 32],
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
def test_full_size_reads_images_of_1024_pixels_at_strides_4_to_64(name):
    cfg = load(name)
    header = (ROOT / f"{name}.py").read_text().split('"""')[1]
    command = f"Command:  tools/dist_train.sh configs/transfer/coco/{name}"
    for word in ("Paper:", "Result:", "Cost:", command):
        assert word in header, word

    with torch.device("meta"):
        model = MODELS.build(cfg.model)
        levels = model.extract_feat(torch.zeros(1, 3, 1024, 1024))

    assert [tuple(level.shape) for level in levels] == [
        (1, 256, 1024 // stride, 1024 // stride) for stride in (4, 8, 16, 32, 64)
    ]
    assert cfg.image_size == (1024, 1024)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for transform in loader.dataset.pipeline:
            TRANSFORMS.build(transform)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    scales = [group["lr_scale"] for group in wrapper.optimizer.param_groups]
    assert max(scales) == 1
    assert (min(scales) < 0.1) is ("mcmae" not in name)


@pytest.mark.parametrize("name", CONFIGS)
def test_schedule_warms_up_and_ends_at_zero(name):
    cfg, per_epoch = load(name), 100
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    epochs = cfg.train_cfg.max_epochs
    schedulers = [build_scheduler(s, optimizer, epochs, per_epoch) for s in cfg.param_scheduler]

    rates = []
    for _ in range(epochs * per_epoch):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()

    assert f"_{epochs}e" in name
    assert rates[0] < 2e-3
    assert rates[:400] == sorted(rates[:400])
    assert rates[500:] == sorted(rates[500:], reverse=True)
    assert rates[-1] < 1e-4


def build_scheduler(scheduler_cfg, optimizer, epochs, per_epoch):
    cfg = dict(scheduler_cfg)
    cls = PARAM_SCHEDULERS.get(cfg.pop("type"))
    if not cfg["by_epoch"]:
        return cls(optimizer, **cfg)
    cfg.pop("convert_to_iter_based")
    return cls.build_iter_from_epoch(optimizer, epoch_length=per_epoch, end=epochs, **cfg)


@pytest.mark.parametrize("name", KINDS)
def test_made_small_every_part_learns_and_detects(name):
    from mmdet.testing import demo_mm_inputs

    arch, channels = TINY_ENCODERS[KINDS[name]]
    cfg = load(name).model
    cfg.backbone.update(arch=arch, init_cfg=None, drop_path_rate=0.0)
    if "global_blocks" in cfg.backbone:
        cfg.backbone.global_blocks = (1,)
    cfg.neck.in_channels = channels
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
