import copy
import re
from types import SimpleNamespace

import cv2
import pytest
import torch
from class_folders import build, classifier
from mmengine.dataset import Compose
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from mrmae_fakes import colors_mimic
from tiny_run import MIXMAE, MRMAE
from torch import nn
from torch.utils.data import ConcatDataset

from mim_plugins.checks.image_check import check_images, read_samples, try_first_batch
from mim_plugins.errors import ConfigError, CorruptImageError
from mim_plugins.transforms import LoadImage


class Images:
    """Data set whose images cycle through the given sizes."""

    metainfo = {}

    def __init__(self, *sizes, channels=3, views=0, sample=None):
        self.sizes, self.channels, self.views, self.sample = sizes, channels, views, sample
        self.read = []

    def __len__(self):
        return 40

    def __getitem__(self, index):
        self.read.append(index)
        size = self.sizes[index % len(self.sizes)]
        image = torch.randint(255, (self.channels, *size), dtype=torch.uint8)
        inputs = [image] * self.views if self.views else image
        return dict(inputs=inputs, data_samples=self.sample)


def pretraining(base, img_size=32, channels=3, **preprocessor):
    cfg = copy.deepcopy(base)
    cfg["backbone"] |= dict(img_size=img_size, in_channels=channels)
    normal = dict(mean=[9.0] * channels, std=[2.0] * channels)
    cfg["data_preprocessor"] |= normal | preprocessor
    return build(MODELS, cfg)


def train(dataset):
    return dict(train_dataloader=dataset)


@pytest.mark.parametrize("base", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
@pytest.mark.parametrize(
    ("img_size", "sizes", "told"),
    [
        (32, [(64, 64)], r"64x64 pixels .*img_size=\(32, 32\).*set model.backbone.img_size"),
        (32, [(16, 32)], "16x32"),
        ((32, 64), [(64, 32)], r"64x32 .*img_size=\(32, 64\).* swapped"),
        (32, [(32, 32), (32, 48)], "32x48 .* their sizes differ"),
        (32, [(48, 32), (64, 32), (80, 32)], "48x32 and 64x32 and 80x32 .* differ"),
    ],
)
def test_pretraining_on_images_of_another_size_is_rejected(base, img_size, sizes, told):
    with pytest.raises(ConfigError, match=rf"train_dataloader: images are {told}"):
        check_images(pretraining(base, img_size), train(Images(*sizes)))


@pytest.mark.parametrize("base", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
@pytest.mark.parametrize("size", [(32, 32), (32, 64), (96, 32)])
def test_images_of_the_models_size_pass(base, size):
    assert check_images(pretraining(base, size), train(Images(size))) == []


@pytest.mark.parametrize("field", ["train_dataloader", "val_dataloader", "test_dataloader"])
@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ([(64, 64)], "set model.backbone.img_size to the pipeline's size"),
        ([(64, 32)], "64x32 pixels .* height and width are swapped"),
        ([(32, 64), (32, 32)], "32x32 pixels .*their sizes differ"),
    ],
)
def test_classifiers_read_other_sizes_with_a_warning(field, sizes, told):
    """They pad the images of a batch and interpolate position embeddings."""
    model = classifier(backbone=dict(img_size=(32, 64)))
    (warning,) = check_images(model, {field: Images(*sizes)})
    assert re.match(rf"{field}: images are .*{told}", warning)
    try_first_batch(model, Images(*sizes))


def test_images_padded_to_the_size_pass():
    model = classifier(preprocessor=dict(pad_size_divisor=16))
    assert check_images(model, train(Images((30, 20)))) == []
    (warning,) = check_images(model, train(Images((33, 20))))
    assert "48x32 pixels" in warning


@pytest.mark.parametrize(
    ("channels", "images", "mean", "told"),
    [
        (3, 4, 3, "images have 4 channels, but backbone.in_channels=3"),
        (1, 3, 1, "images have 3 channels, but backbone.in_channels=1"),
        (4, 1, 1, "images have 1 channels, but backbone.in_channels=4"),
        (3, 1, 1, "images have 1 channels, but backbone.in_channels=3"),
        (1, 1, 3, "mean has 3 values, but backbone.in_channels=1"),
        (4, 4, 3, "mean has 3 values, but backbone.in_channels=4"),
    ],
)
def test_mismatched_channels_are_rejected(channels, images, mean, told):
    normal = dict(mean=[1.0] * mean, std=[1.0] * mean)
    model = classifier(backbone=dict(in_channels=channels), preprocessor=normal)
    with pytest.raises(ConfigError, match=told):
        check_images(model, train(Images((32, 32), channels=images)))


@pytest.mark.parametrize(("channels", "images", "mean"), [(3, 1, 3), (1, 1, 1), (5, 5, 1)])
def test_matching_channels_pass(channels, images, mean):
    normal = dict(mean=[1.0] * mean, std=[1.0] * mean)
    model = classifier(backbone=dict(in_channels=channels), preprocessor=normal)
    dataset = Images((32, 32), channels=images)
    assert check_images(model, train(dataset)) == []
    try_first_batch(model, dataset)


def test_channels_of_augmented_views_are_checked():
    with pytest.raises(ConfigError, match="images have 4 channels"):
        check_images(classifier(), dict(test_dataloader=Images((32, 32), channels=4, views=2)))


def test_few_samples_are_read_and_the_random_state_is_kept():
    dataset, state = Images((32, 32)), torch.get_rng_state()
    assert len(read_samples(dataset, "x")) == 8
    assert dataset.read == list(range(0, 40, 5))
    assert torch.equal(torch.get_rng_state(), state)


class BaseSegmentor(nn.Module):
    def __init__(self, classes, **settings):
        super().__init__()
        self.decode_head = nn.Module()
        vars(self.decode_head).update(num_classes=classes, **settings)


class BaseDetector(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.bbox_head = nn.Module()
        self.bbox_head.num_classes = classes


def segmented(*labels):
    data = torch.tensor(labels).reshape(1, 1, -1)
    return BaseDataElement(gt_sem_seg=PixelData(data=data), metainfo=dict(seg_map_path="x.png"))


def detected(*labels):
    instances = InstanceData(labels=torch.tensor(labels))
    return BaseDataElement(gt_instances=instances, metainfo=dict(img_path="x.jpg"))


def panoptic(label, pixel):
    sample = detected(label)
    sample.gt_sem_seg = segmented(0, pixel).gt_sem_seg
    return sample


@pytest.mark.parametrize(
    ("model", "sample", "told"),
    [
        (BaseSegmentor(3), segmented(0, 3, 255), "'x.png' has the label 3, .*decode_head"),
        (BaseDetector(3), detected(1, 7), "'x.jpg' has the label 7, .*bbox_head.num_classes=3"),
        (BaseDetector(3), detected(-1), "'x.jpg' has the label -1.*correct the annotations"),
        (BaseSegmentor(4), segmented(0, 3, 255), None),
        (BaseSegmentor(11, ignore_index=11), segmented(0, 10, 11), None),
        (BaseSegmentor(11, ignore_index=11), segmented(0, 255), "label 255, .* and 11 for ignored"),
        (BaseDetector(3), panoptic(2, 132), None),
        (BaseDetector(8), detected(1, 7), None),
        (BaseDetector(8), detected(), None),
    ],
)
def test_labels_of_pixels_and_objects_need_a_class(model, sample, told):
    datasets = train(Images((32, 32), sample=sample))
    if told is None:
        assert check_images(model, datasets) == []
        return
    (warning,) = check_images(model, datasets)
    assert re.match(rf"train_dataloader: .*{told}", warning)


def test_mismatched_head_is_rejected_before_training():
    model = classifier(head=dict(type="LinearClsHead", num_classes=3, in_channels=768))
    with pytest.raises(ConfigError, match=r"do not pass through ImageClassifier: .*768"):
        try_first_batch(model, Images((32, 32)))


def test_trial_of_the_first_batch_has_no_side_effects():
    for base in (MIXMAE, MRMAE):
        model = pretraining(base)
        before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
        try_first_batch(model, Images((32, 32)))
        assert model.training
        assert all(parameter.grad is None for parameter in model.parameters())
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert torch.equal(torch.get_rng_state(), state)


def test_preprocessor_incompatible_with_teachers_is_rejected():
    target = dict(type="mim_plugins.ColorsOfMRMAETest")
    pytest.importorskip("mrmae_fakes")
    cfg = copy.deepcopy(MRMAE) | dict(mimics=dict(colors=dict(target_generator=target)))
    cfg["data_preprocessor"] |= dict(mean=None, std=None)
    with pytest.raises(ConfigError, match="MRMAE: teachers need pixel values"):
        try_first_batch(build(MODELS, cfg), Images((32, 32)))


def test_other_models_and_empty_data_are_skipped():
    try_first_batch(SimpleNamespace(), Images((32, 32), channels=9))
    assert check_images(classifier(), train([])) == []
    assert read_samples(iter([1]), "x") == []


class BaseVideoDataset(Images):
    """Class with the name of MMDetection's."""

    def __getitem__(self, index):
        raise AssertionError("a video is read")


def test_videos_are_not_read():
    videos = BaseVideoDataset((32, 32))
    assert read_samples(videos, "train_dataloader") == []
    assert read_samples(ConcatDataset([videos]), "train_dataloader") == []


class Unreadable(Images):
    def __init__(self, error):
        super().__init__((32, 32))
        self.error = error

    def __getitem__(self, index):
        raise self.error

    def get_data_info(self, index):
        return dict(img_path=f"{index}.jpg")


@pytest.mark.parametrize(
    "error", [cv2.error("!buf.empty()"), OSError("gone"), KeyError("img"), TypeError("None\nNone")]
)
def test_unreadable_sample_is_reported_in_one_line(error):
    told = rf"val_dataloader.dataset: sample 0 \('0.jpg'\) does not.*{type(error).__name__}"
    with pytest.raises(ConfigError, match=told) as caught:
        read_samples(Unreadable(error), "val_dataloader")
    assert "\n" not in str(caught.value)


def test_corrupt_images_keep_their_own_message():
    error = CorruptImageError("corrupt image 'x.jpg'", "x.jpg", "empty")
    with pytest.raises(CorruptImageError, match=r"corrupt image 'x\.jpg'"):
        read_samples(Unreadable(error), "train_dataloader")


def test_images_beyond_the_padded_square_cause_a_warning():
    model = nn.Module()
    model.data_preprocessor = SimpleNamespace(pad_size_divisor=256, mean=None, std=None)
    assert check_images(model, train(Images((256, 100)))) == []
    (warning,) = check_images(model, train(Images((256, 100), (100, 257))))
    assert "sides of 257 pixels exceed pad_size_divisor=256, so they are padded to 512" in warning
    model.data_preprocessor.pad_size_divisor = 32
    assert check_images(model, train(Images((256, 257)))) == []


@pytest.mark.parametrize("base", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_pre_training_with_a_normalizing_pipeline_is_refused(base):
    images = Images((32, 32))
    images.pipeline = Compose([dict(type="mmcv.Normalize", mean=[1.0], std=[2.0], to_rgb=True)])
    with pytest.raises(ConfigError, match="train_dataloader: the pipeline contains Normalize"):
        check_images(pretraining(base, mean=None, std=None), train(images))
    images.pipeline.transforms.clear()
    assert check_images(pretraining(base, mean=None, std=None), train(images)) == []


def test_classifiers_may_normalize_in_all_their_pipelines():
    images = Images((32, 32))
    images.pipeline = Compose([dict(type="mmcv.Normalize", mean=[1.0], std=[2.0], to_rgb=True)])
    assert check_images(classifier(preprocessor=dict(mean=None, std=None)), train(images)) == []


@pytest.mark.parametrize("base", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_teachers_of_bgr_files_are_refused(base):
    images = Images((32, 32))
    images.pipeline = Compose([LoadImage()])
    for model in (pretraining(base | dict(mimics=dict(t=colors_mimic()))), pretraining(base)):
        given = None if model.mimics else True  # None: the model contains them
        with pytest.raises(ConfigError, match=r"set data_preprocessor\.bgr_to_rgb=True"):
            check_images(model, train(images), given)
        model.data_preprocessor.bgr_to_rgb = True
        assert check_images(model, train(images), given) == []
