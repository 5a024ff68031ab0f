"""Detectors and segmentors train in float16 with mmcv's operators for CUDA."""

import pytest
import torch
from config_files import load_config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import MODELS, DefaultScope
from tiny_detectors import make_small
from tiny_segmentors import TINY

pytestmark = pytest.mark.gpu


def operators_of(device):
    """Skip the test if mmcv has no operators for the device."""
    ops = pytest.importorskip("mmcv.ops", exc_type=ImportError)
    if device != "cpu" and ops.get_compiling_cuda_version() == "not available":
        pytest.skip("mmcv was compiled without CUDA")


def check_steps(model, batch, device):
    """Train two steps, in float16 on a GPU, and check losses and weights."""
    model.train().to(device)
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    if device == "cpu":
        wrapper = OptimWrapper(optimizer)
    else:
        scale = dict(init_scale=256.0)  # the default begins with steps that are skipped
        wrapper = AmpOptimWrapper(loss_scale=scale, dtype="float16", optimizer=optimizer)
    for _ in range(2):
        losses = model.train_step(batch, wrapper)
        assert losses["loss"].isfinite()
    assert all(p.isfinite().all() for p in model.parameters())
    changed = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert any(name.startswith("backbone.patch_embed") for name in changed)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mask_rcnn_mixmae_swin_b_36e", "swin"),
        ("cascade_mask_rcnn_mrmae_mcmae_b_25e", "mcmae"),
        ("mask_rcnn_mrmae_vit_b_25e", "vit"),
    ],
)
def test_a_detector_trains(device, name, kind):
    operators_of(device)
    testing = pytest.importorskip("mmdet.testing", exc_type=ImportError)
    with DefaultScope.overwrite_default_scope("mmdet"):
        cfg = load_config(f"transfer/coco/{name}.py").model
        make_small(cfg, kind)
        cfg.backbone.init_cfg = None
        batch = testing.demo_mm_inputs(
            2, [[3, 64, 96], [3, 70, 64]], num_items=[2, 2], num_classes=80, with_mask=True
        )
        check_steps(MODELS.build(cfg), batch, device)


@pytest.mark.parametrize("name", TINY)
def test_a_segmentor_trains(device, name):
    operators_of(device)
    structures = pytest.importorskip("mmseg.structures", exc_type=ImportError)
    from mmengine.structures import PixelData

    with DefaultScope.overwrite_default_scope("mmseg"):
        cfg = load_config(f"transfer/ade20k/{name}.py")
        cfg.merge_from_dict(
            TINY[name]
            | {
                "model.backbone.init_cfg": None,
                "model.data_preprocessor.size": (64, 64),
                "model.decode_head.channels": 8,
                "model.auxiliary_head.channels": 8,
            }
        )
        samples = []
        for _ in range(2):
            sample = structures.SegDataSample(metainfo=dict(img_shape=(64, 64)))
            sample.gt_sem_seg = PixelData(data=torch.randint(0, 150, (1, 64, 64)))
            samples.append(sample)
        images = [torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8) for _ in range(2)]
        norm = dict(type="BN", requires_grad=True)  # SyncBN needs a process group
        cfg.model.decode_head.norm_cfg = cfg.model.auxiliary_head.norm_cfg = norm
        check_steps(MODELS.build(cfg.model), dict(inputs=images, data_samples=samples), device)
