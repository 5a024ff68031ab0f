import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from mim_plugins import extract_features, get_model
from mim_plugins.apis import Encoder, build_model, describe_config
from mim_plugins.apis.image_pipeline import ImagePipeline
from mim_plugins.apis.inputs import (
    are_one_size,
    central_pipeline,
    evaluation_pipeline,
    model_inputs,
)
from mim_plugins.cli.finetuning.config_text import Settings, config_text
from mim_plugins.cli.labeled_survey import LabeledSurvey
from mim_plugins.errors import ConfigError
from mim_plugins.evaluation.labeled_loader import build_labeled_loader

STEPS = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(32, 32)),
    dict(type="PackInputs"),
]
OTHER = [STEPS[0], dict(type="Resize", scale=(16, 16)), STEPS[2]]


def prepared(cfg, photo):
    model = build_model(cfg)
    return model_inputs(model, evaluation_pipeline(model)(photo))


def test_the_pipeline_of_the_test_data_is_used(finetune_cfg, photo):
    before = prepared(finetune_cfg, photo)
    finetune_cfg.val_dataloader = dict(dataset=dict(pipeline=OTHER))
    assert torch.equal(prepared(finetune_cfg, photo), before)
    finetune_cfg.test_dataloader.dataset.pipeline = OTHER
    assert prepared(finetune_cfg, photo).shape == (1, 3, 16, 16)


def test_pipelines_of_validation_data_and_wrappers_are_found(finetune_cfg, photo):
    finetune_cfg.test_dataloader = None
    inner = dict(type="A", dataset=dict(type="B", datasets=[dict(pipeline=STEPS)] * 2))
    finetune_cfg.val_dataloader = dict(dataset=inner)
    assert prepared(finetune_cfg, photo).shape == (1, 3, 32, 32)


def test_several_pipelines_or_none_are_refused(finetune_cfg, photo):
    datasets = [dict(pipeline=STEPS), dict(pipeline=OTHER)]
    for dataset in (dict(type="ConcatDataset", datasets=datasets), dict(type="CIFAR10")):
        finetune_cfg.test_dataloader = dict(dataset=dataset)
        with pytest.raises(ConfigError, match=r"test_dataloader has \d different pipelines"):
            prepared(finetune_cfg, photo)


def test_without_a_test_pipeline_images_are_center_cropped(pretrain_cfg, photo):
    from mim_plugins.apis import read_images

    model = build_model(pretrain_cfg)
    expected = read_images(photo, 37, (32, 32))
    for pipeline in (evaluation_pipeline(model), central_pipeline(model)):
        (sample,) = pipeline(photo)
        assert torch.equal(sample["inputs"].flip(0), expected[0])
        modules = {type(step).__module__.partition(".")[0] for step in pipeline._steps}
        assert modules == {"mim_plugins", "mmcv"}  # pre-training does not import mmpretrain


def test_a_preprocessor_that_reads_rgb_gets_rgb(pretrain_cfg, photo):
    expected = prepared(pretrain_cfg, photo)
    pretrain_cfg.model.data_preprocessor.bgr_to_rgb = False
    pretrain_cfg.train_dataloader.dataset = dict(type="CIFAR10")  # in memory, and RGB
    assert torch.equal(prepared(pretrain_cfg, photo), expected)


def test_images_stay_bgr_if_training_used_bgr(pretrain_cfg, photo):
    pretrain_cfg.model.data_preprocessor.update(mean=[0.0] * 3, std=[1.0] * 3)
    expected = prepared(pretrain_cfg, photo)
    pretrain_cfg.model.data_preprocessor.bgr_to_rgb = False
    assert torch.equal(prepared(pretrain_cfg, photo), expected.flip(1))


def test_a_backbone_of_one_channel_gets_gray_images(pretrain_cfg, photo):
    pretrain_cfg.model.backbone.in_channels = 1
    pretrain_cfg.model.data_preprocessor.update(mean=[100.0], std=[50.0], bgr_to_rgb=False)
    assert prepared(pretrain_cfg, photo).shape == (1, 1, 32, 32)
    gray = np.stack([photo[..., 0]] * 3, axis=-1)
    assert torch.equal(prepared(pretrain_cfg, gray), prepared(pretrain_cfg, photo[..., 0]))
    assert extract_features(get_model(pretrain_cfg), photo).pooled.shape == (1, 16)


def test_images_of_several_sizes_are_refused(finetune_cfg, photo):
    finetune_cfg.test_dataloader.dataset.pipeline = [STEPS[0], STEPS[2]]
    model = get_model(finetune_cfg)
    samples = evaluation_pipeline(model)([photo[:32, :32], photo])
    assert not are_one_size(samples)
    with pytest.raises(ValueError, match=r"several sizes \(H, W\), such as \(32, 32\) and \(50, 7"):
        extract_features(model, [photo[:32, :32], photo])
    assert extract_features(model, [photo[:32, :32]] * 2).pooled.shape[0] == 2


@pytest.mark.parametrize("kind", ["SelfSupDataPreprocessor", "ImgDataPreprocessor",
                                  "ClsDataPreprocessor", "BaseDataPreprocessor"])  # fmt: skip
def test_preprocessors_of_every_kind_accept_the_images(pretrain_cfg, photo, kind):
    model = build_model(pretrain_cfg)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model.data_preprocessor = MODELS.build(dict(type=kind))
    inputs = model_inputs(model, evaluation_pipeline(model)([photo, photo]))
    assert inputs.shape == (2, 3, 32, 32)
    assert inputs.dtype == torch.float32


def test_pipelines_of_detectors_and_segmentors_work(photo):
    for package, pack in (("mmdet", "PackDetInputs"), ("mmseg", "PackSegInputs")):
        pytest.importorskip(package, exc_type=ImportError)
        steps = [
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(64, 32), keep_ratio=True),
            dict(type="LoadAnnotations"),
            dict(type=pack),
        ]
        cfg = Config(
            dict(default_scope=package, test_dataloader=dict(dataset=dict(pipeline=steps)))
        )
        model = torch.nn.Identity()
        model._config = cfg
        (sample,) = evaluation_pipeline(model)(photo)
        assert sample["inputs"].shape == (3, 32, 45)
        assert sample["data_samples"].ori_shape == (50, 70)


def test_a_normalizing_training_pipeline_is_refused(pretrain_cfg, photo):
    steps = pretrain_cfg.train_dataloader.dataset.pipeline
    steps.insert(1, dict(type="mmcv.Normalize", mean=[123.0], std=[58.0], to_rgb=True))
    for given in (dict(mean=None, std=None, bgr_to_rgb=False), {}):
        pretrain_cfg.model.data_preprocessor.update(given)
        with pytest.raises(ConfigError, match="train_dataloader: the pipeline contains Normalize"):
            prepared(pretrain_cfg, photo)


def test_in_memory_rgb_of_a_classifier_stays_rgb(pretrain_cfg, photo):
    expected = prepared(pretrain_cfg, photo)
    given = pretrain_cfg.model.data_preprocessor
    model = build_model(pretrain_cfg)
    model.run_config.train_dataloader.dataset = dict(type="CIFAR10")
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model.data_preprocessor = MODELS.build(
            dict(type="ClsDataPreprocessor", mean=given.mean, std=given.std, to_rgb=False)
        )
    assert torch.equal(model_inputs(model, evaluation_pipeline(model)(photo)), expected)


def test_bands_of_data_in_memory_keep_their_order(pretrain_cfg):
    pretrain_cfg.model.backbone.in_channels = 4
    pretrain_cfg.model.data_preprocessor.update(mean=[0.0], std=[1.0], bgr_to_rgb=False)
    pretrain_cfg.train_dataloader.dataset = dict(type="Memory")
    image = np.broadcast_to(np.arange(4, dtype=np.float32), (32, 32, 4))
    assert prepared(pretrain_cfg, image)[0, :, 5, 5].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [32, (32, 64), (64, 32), (32, 128)])
def test_commands_read_the_same_pixels_of_an_image(pretrain_cfg, photos, size, tmp_path):
    pretrain_cfg.model.backbone.img_size = size
    encoder, model = Encoder(describe_config(pretrain_cfg.to_dict())), build_model(pretrain_cfg)
    for number, photo in enumerate(photos):
        path = tmp_path / f"{number}" / "class" / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(photo).save(path)
        loader = build_labeled_loader(dict(data_root=str(path.parents[1])), size, num_workers=0)
        expected = next(iter(loader))["inputs"][0]
        finetuned = Config.fromstring(finetune_text(pretrain_cfg, tmp_path), ".py")
        for prepare in (
            evaluation_pipeline(model),
            evaluation_pipeline(encoder),
            ImagePipeline(finetuned.test_pipeline),
        ):
            assert torch.equal(prepare(path)[0]["inputs"], expected)


def finetune_text(cfg, folder):
    survey = LabeledSurvey(str(folder), 60, 7)
    return config_text(Settings(survey, folder / "epoch_1.pth", 16, 10, 1, folder), cfg)
