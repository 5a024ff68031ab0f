import pytest
from class_folders import build, classifier
from mmengine.registry import MODELS
from torch import nn

from mim_plugins.checks.head_classes import head_classes, innermost_model

HEADS = dict(
    linear=dict(type="LinearClsHead", in_channels=16),
    vit=dict(type="VisionTransformerClsHead", in_channels=16, hidden_dim=8),
    stacked=dict(type="StackedLinearClsHead", in_channels=16, mid_channels=[8]),
    multi_label=dict(type="MultiLabelLinearClsHead", in_channels=16),
    csra=dict(type="CSRAClsHead", in_channels=16, num_heads=1, lam=0.1),
    efficientformer=dict(type="EfficientFormerClsHead", in_channels=16),
    levit=dict(type="LeViTClsHead", in_channels=16),
    conformer=dict(type="ConformerHead", in_channels=[16, 16]),
    arcface=dict(type="ArcFaceClsHead", in_channels=16),
    deit=dict(type="DeiTClsHead", in_channels=16),
    vig=dict(type="VigClsHead", in_channels=16, hidden_dim=8, act_cfg=dict(type="GELU")),
)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("classes", [2, 7])
def test_classifier_heads_are_found(head, classes):
    model = classifier(head=dict(HEADS[head], num_classes=classes))
    assert head_classes(model) == [("model.head", classes, "", False)]


def test_multi_task_heads_are_found():
    heads = dict(color=dict(HEADS["linear"], num_classes=2), form=dict(HEADS["vit"], num_classes=5))
    model = classifier(head=dict(type="MultiTaskHead", task_heads=heads))
    assert [each[:3] for each in head_classes(model)] == [
        ("model.head.task_heads.color", 2, "color"),
        ("model.head.task_heads.form", 5, "form"),
    ]


class BaseDetector(nn.Module):
    """Class with the name of MMDetection's, which may not be installed."""


class BaseSegmentor(nn.Module):
    pass


class Head(nn.Module):
    def __init__(self, num_classes, class_agnostic=False):
        super().__init__()
        self.num_classes = num_classes
        self.class_agnostic = class_agnostic


class RPNHead(Head):
    pass


class STDCHead(Head):
    pass


def test_detector_heads_are_found_without_proposals():
    model, roi = BaseDetector(), nn.Module()
    model.rpn_head, model.roi_head = RPNHead(1), roi
    model.bbox_head = RPNHead(1)  # as in detectors of proposals alone
    roi.bbox_head = nn.ModuleList([Head(80), Head(81)])
    roi.mask_head = Head(80, class_agnostic=True)
    assert [each[:2] for each in head_classes(model)] == [
        ("model.roi_head.bbox_head.0", 80),
        ("model.roi_head.bbox_head.1", 81),
    ]
    roi.mask_head = Head(79)
    assert head_classes(model)[-1] == ("model.roi_head.mask_head", 79, "", True)


def test_segmentor_heads_are_found():
    model = BaseSegmentor()
    model.decode_head, model.auxiliary_head = (
        Head(150),
        nn.ModuleList([Head(150), Head(19), STDCHead(2)]),
    )
    names = [(each.name, each.classes) for each in head_classes(model)]
    assert names == [
        ("model.decode_head", 150),
        ("model.auxiliary_head.0", 150),
        ("model.auxiliary_head.1", 19),
    ]


def test_pretraining_models_have_no_classes():
    from tiny_run import MIXMAE

    assert head_classes(build(MODELS, MIXMAE)) == []


def test_wrappers_are_removed():
    inner = nn.Linear(1, 1)
    outer = nn.Module()
    outer.module = nn.DataParallel(inner)
    assert innermost_model(outer) is inner
    assert innermost_model(inner) is inner
