"""Layer-wise learning rates of every backbone in models of other frameworks."""

import re

import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import mim_plugins  # noqa: F401  registers everything

RATE = 0.5
# backbone, channels of its last output, and for each parameter the layers between it and the head:
# written out here, independent of the backbone
BACKBONES = dict(
    MaskedSwin=(
        dict(
            arch=dict(embed_dims=8, depths=(1, 2, 1), num_heads=(1, 2, 4)),
            img_size=64,
            window_size=4,
        ),
        32,
        {
            r"patch_embed\.": 5,
            r"stages\.0\.": 4,
            r"stages\.1\.(downsample|blocks\.0)\.": 3,
            r"stages\.1\.blocks\.1\.": 2,
            r"stages\.2\.": 1,
            r"(norm|out_norms)\.": 1,
        },
    ),
    MaskedPVT=(
        dict(
            arch=dict(
                embed_dims=(8, 16, 32), depths=(1, 1, 2), num_heads=(1, 2, 4), mlp_ratios=(2, 2, 2)
            ),
            img_size=64,
        ),
        32,
        {
            r"patch_embed\.": 5,
            r"stages\.0\.": 4,
            r"stages\.1\.": 3,
            r"stages\.2\.(downsample|blocks\.0)\.": 2,
            r"stages\.2\.blocks\.1\.": 1,
            r"(norm|out_norms)\.": 1,
        },
    ),
    MaskedViT=(
        dict(arch=dict(embed_dims=8, depth=3, num_heads=2), img_size=64),
        8,
        {
            r"(patch_embed\.|cls_token)": 4,
            r"blocks\.0\.": 3,
            r"blocks\.1\.": 2,
            r"blocks\.2\.": 1,
            r"(norm|fc_norm)\.": 0,
        },
    ),
    MaskedConvViT=(
        dict(
            arch=dict(depths=(1, 1, 2), embed_dims=(8, 16, 32), mlp_ratios=(2, 2, 2), num_heads=2),
            img_size=64,
            fuse_stages=False,
        ),
        32,
        {
            r"(patch_embed[1-4]|stage1|stage2)\.": 3,
            r"blocks\.0\.": 2,
            r"blocks\.1\.": 1,
            r"(norm|fc_norm|out_norms)\.": 0,
        },
    ),
)


def classifier(backbone, channels):
    return dict(
        type="ImageClassifier",
        backbone=dict(**backbone, out_type="avg_featmap"),
        head=dict(type="LinearClsHead", num_classes=3, in_channels=channels),
    )


def segmentor(backbone, channels):
    return dict(
        type="EncoderDecoder",
        # two levels, because inner levels have norms then
        backbone=dict(**backbone, out_indices=(0, -1)),
        decode_head=dict(
            type="FCNHead", num_classes=3, in_channels=channels, in_index=1, channels=4, num_convs=1
        ),
    )


def detector(backbone, channels):
    return dict(
        type="RetinaNet",
        backbone=dict(**backbone, out_indices=(0, -1)),
        neck=dict(type="FPN", in_channels=[8, channels], out_channels=8, num_outs=2),
        bbox_head=dict(
            type="RetinaHead",
            num_classes=3,
            in_channels=8,
            feat_channels=8,
            stacked_convs=1,
            anchor_generator=dict(
                type="AnchorGenerator", scales=[8], ratios=[1.0], strides=[4, 16]
            ),
        ),
    )


FRAMEWORKS = dict(mmpretrain=classifier, mmseg=segmentor, mmdet=detector)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", BACKBONES)
def test_every_parameter_group_has_its_scale(framework, name, tmp_path):
    if framework != "mmpretrain":
        pytest.importorskip("mmcv.ops", exc_type=ImportError)
    pytest.importorskip(framework, exc_type=ImportError)
    settings, channels, distances = BACKBONES[name]
    model = FRAMEWORKS[framework](dict(type=f"mim_plugins.{name}", **settings), channels)
    # as in a run; MMEngine sets the framework as default scope, which is reset afterwards
    with DefaultScope.overwrite_default_scope(framework):
        runner = Runner(model, str(tmp_path), default_scope=framework)
        wrapper = runner.build_optim_wrapper(
            dict(
                optimizer=dict(type="AdamW", lr=2.0, weight_decay=0.05),
                constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
                paramwise_cfg=dict(layer_decay_rate=RATE),
            )
        )
    names = {id(param): key for key, param in runner.model.named_parameters()}
    found = {}
    for group in sorted(wrapper.optimizer.param_groups, key=lambda group: group["lr"]):
        members = [names[id(param)] for param in group["params"]]
        print(f"{group['lr_scale']:<8} weight decay {group['weight_decay']:<5} {members}")
        assert group["lr"] == pytest.approx(2.0 * group["lr_scale"])
        found |= dict.fromkeys(members, group["lr_scale"])
    assert found == {key: RATE ** expected_distance(key, distances) for key in names.values()}
    backbone = [scale for key, scale in found.items() if key.startswith("backbone.")]
    assert min(backbone) == RATE ** max(distances.values())
    assert {scale for key, scale in found.items() if "head" in key or "neck" in key} == {1.0}


def expected_distance(key, distances):
    if not key.startswith("backbone."):
        return 0
    (distance,) = (
        layers
        for pattern, layers in distances.items()
        if re.match(pattern, key.removeprefix("backbone."))
    )
    return distance
