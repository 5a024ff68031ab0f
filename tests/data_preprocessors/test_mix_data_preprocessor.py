import copy

import pytest
import torch

from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.layers import Grouping
from mim_plugins.masking import MixedImages, MixImages
from mim_plugins.registry import MODELS

CONFIG = dict(
    type="mim_plugins.MixDataPreprocessor",
    mean=[10.0, 20.0, 30.0],
    std=[1.0, 2.0, 4.0],
    bgr_to_rgb=True,
    batch_transform=dict(type="mim_plugins.MixImages", encoder_stride=8),
)


@pytest.fixture
def data():
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    return dict(inputs=list(images), data_samples=["a", "b", "c", "d"])


def normalized(data):
    rgb = torch.stack(data["inputs"])[:, [2, 1, 0]].float()
    mean, std = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([1.0, 2.0, 4.0])
    return (rgb - mean[:, None, None]) / std[:, None, None]


@pytest.mark.parametrize("training", [False, True])
def test_images_are_only_normalized_where_nothing_mixes(data, training):
    config = CONFIG | dict(batch_transform=None) if training else CONFIG
    expected = normalized(data)
    assert torch.allclose(MODELS.build(config)(data, training)["inputs"], expected)


def test_training_mixes_images_and_keeps_other_entries(data):
    expected = normalized(data)
    output = MODELS.build(CONFIG)(data, training=True)
    batch = output["inputs"]
    assert isinstance(batch, MixedImages)
    assert torch.allclose(batch.images, expected)
    own = torch.isclose(batch.mixed, expected)
    assert own.any()
    assert not own.all()
    assert output["data_samples"] == ["a", "b", "c", "d"]


def test_a_batch_transform_may_be_an_object(data):
    transform = MixImages(encoder_stride=4)
    preprocessor = MixDataPreprocessor(batch_transform=transform)
    assert preprocessor.batch_transform is transform
    assert preprocessor(data, training=True)["inputs"].mask.shape == (1, 4, 4)


def test_the_config_is_left_as_it_was():
    before = copy.deepcopy(CONFIG)
    MODELS.build(CONFIG)
    assert before == CONFIG


def test_images_are_never_turned_to_bgr():
    with pytest.raises(ValueError, match="rgb_to_bgr=True"):
        MODELS.build(dict(type="MixDataPreprocessor", rgb_to_bgr=True))


def test_stacked_images_equal_listed_ones(data):
    stacked = data | dict(inputs=torch.stack(data["inputs"]))
    expected = normalized(data)
    assert torch.allclose(MODELS.build(CONFIG)(stacked)["inputs"], expected)


def test_preprocessing_never_waits_for_the_gpu(data):
    from gpu_model import GpuTrace

    data["inputs"] = torch.stack(data["inputs"])
    preprocessor = MODELS.build(CONFIG)
    with GpuTrace() as trace:
        preprocessor.to("meta")
        trace.reset()
        preprocessor(data, training=True)
    assert trace.waits == []


def test_other_channels_than_three_cannot_be_reversed(data):
    data["inputs"] = [image[:1] for image in data["inputs"]]
    with pytest.raises(ValueError, match="bgr_to_rgb=True reverses 3 channels"):
        MODELS.build(CONFIG)(data)


class Recording:
    """Planner that keeps its arguments."""

    def __call__(self, *args):
        self.args = args
        return "plan"


@pytest.mark.parametrize(
    ("static", "mixing", "grouping"),
    [
        (False, {}, None),
        (True, {}, Grouping.WHOLE_GRID),
        (True, dict(per_pair=True), Grouping.WHOLE_GRID),
        (True, dict(range_mask_ratio=0.2), Grouping.NONE),
    ],
)
def test_compiled_models_get_plans_of_constant_shapes(data, static, mixing, grouping):
    preprocessor = MixDataPreprocessor(batch_transform=MixImages(encoder_stride=8, **mixing))
    preprocessor.planner, preprocessor.static_shapes = Recording(), static

    batch = preprocessor(data, training=True)["inputs"]

    assert batch.plan == "plan"
    mask, device, chosen = preprocessor.planner.args
    assert torch.equal(mask, batch.mask)
    assert device == batch.images.device
    assert chosen is grouping


def test_sizes_of_groups_of_other_transforms_may_vary(data):
    transform = MixImages(encoder_stride=8)
    preprocessor = MixDataPreprocessor(batch_transform=lambda images: transform(images))
    preprocessor.planner, preprocessor.static_shapes = Recording(), True

    preprocessor(data, training=True)

    assert preprocessor.planner.args[2] is Grouping.NONE


def test_planned_batches_are_on_the_device_of_the_images():
    preprocessor = MixDataPreprocessor(batch_transform=MixImages(encoder_stride=8)).to("meta")
    images = torch.zeros(4, 3, 16, 16)
    assert preprocessor(dict(inputs=images), training=True)["inputs"].mask.device.type == "cpu"
    preprocessor.planner = Recording()

    batch = preprocessor(dict(inputs=images), training=True)["inputs"]

    assert preprocessor.planner.args[0].device.type == "cpu"
    fields = (batch.images, batch.mixed, batch.mask, batch.partner, batch.mixture)
    assert all(tensor.is_meta for tensor in fields)


@pytest.mark.parametrize("bands", [(0, 1), (), (0, 1, 4), (-1,), (0.0,), (True,)])
def test_shown_bands_must_be_one_or_three_channels(bands):
    with pytest.raises(ValueError, match=r"one or three numbers of channels.*0 to 3"):
        MixDataPreprocessor(mean=[0.0] * 4, std=[1.0] * 4, shown_bands=bands)


def test_shown_bands_do_not_change_images():
    images = torch.rand(2, 4, 8, 8)
    values = dict(mean=[0.1, 0.2, 0.3, 0.4], std=[2.0] * 4)
    plain, shown = MixDataPreprocessor(**values), MixDataPreprocessor(**values, shown_bands=[3])
    assert torch.equal(plain(dict(inputs=images))["inputs"], shown(dict(inputs=images))["inputs"])
