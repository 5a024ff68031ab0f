import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from mim_plugins import extract_features, get_model
from mim_plugins.apis import find_config
from mim_plugins.registry import MODELS


def test_a_pre_trained_encoder_returns_features(pretrain_cfg, photos):
    model = get_model(pretrain_cfg)
    pooled, maps = extract_features(model, photos)
    assert [tuple(m.shape) for m in maps] == [(3, 16, 4, 4)]
    assert torch.allclose(pooled, maps[-1].mean(dim=(2, 3)))
    assert not pooled.requires_grad


def test_a_classifiers_features_are_its_heads_input(finetune_cfg, photos):
    model = get_model(finetune_cfg)

    pooled, maps = extract_features(model, photos[1])

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        pipeline = Compose(finetune_cfg.test_dataloader.dataset.pipeline[1:])
        data = pipeline(dict(img=photos[1][..., ::-1], img_shape=photos[1].shape[:2]))
        inputs = model.data_preprocessor(dict(inputs=[data["inputs"]]))["inputs"]
    read = model.head.pre_logits(model.extract_feat(inputs))
    assert torch.allclose(pooled, read, atol=1e-5)
    assert maps[0].shape == (1, 16, 4, 4)
    assert model.backbone.out_type == "avg_featmap"


def test_all_outputs_of_the_backbone_are_returned(finetune_cfg, photos):
    finetune_cfg.model.backbone.out_indices = (0, 1)
    pooled, maps = extract_features(get_model(finetune_cfg), photos)
    assert [tuple(m.shape) for m in maps] == [(3, 8, 8, 8), (3, 16, 4, 4)]
    assert pooled.shape == (3, 16)


@pytest.mark.parametrize(("out_type", "maps"), [("featmap", 1), ("avg_featmap", 0)])
def test_a_plain_vit_returns_maps_if_its_norm_precedes_pooling(mrmae_cfg, photos, out_type, maps):
    cfg = Config.fromfile(find_config("mrmae/vit_b_finetune_100e"))
    cfg.model.backbone = dict(mrmae_cfg.model.backbone, out_type=out_type)
    cfg.model.head.update(in_channels=32)
    features = extract_features(get_model(cfg), photos)
    assert features.pooled.shape == (3, 32)
    assert len(features.maps) == maps


def test_features_do_not_depend_on_the_other_images(pretrain_cfg, photos):
    model = get_model(pretrain_cfg)
    together = extract_features(model, photos).pooled
    for index, photo in enumerate(photos):
        alone = extract_features(model, photo).pooled[0]
        assert torch.allclose(alone, together[index], atol=1e-5)


def test_a_model_built_without_get_model_works(mixmae_config, photos):
    model = MODELS.build(mixmae_config).eval()
    assert extract_features(model, photos).pooled.shape == (3, model.backbone.stage_channels[-1])
