import pytest
import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.logging import MMLogger
from mmengine.model import ImgDataPreprocessor
from mmengine.structures import BaseDataElement
from torch import nn
from torch.utils.data import DataLoader
from two_processes import in_two_processes

from mim_plugins.datasets.replacement import RECORD
from mim_plugins.errors import NonFiniteFeaturesError
from mim_plugins.evaluation import extract_features
from mim_plugins.layers.pooling import pooled_features
from mim_plugins.registry import MODELS


class Brightness(nn.Module):
    """Backbone whose maps have the image's mean color as their mean over the positions."""

    def __init__(self, shape="maps"):
        super().__init__()
        self.shape = shape
        self.scale = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, images):
        maps = self.dropout(images * self.scale)
        if self.shape == "maps":
            return (maps[:, :, :1] * 0, maps)
        if self.shape == "tokens":
            return maps.flatten(2).transpose(1, 2)
        return (maps.mean(dim=(2, 3)),)


def sample(index):
    return dict(
        inputs=torch.full((3, 4, 4), float(index)),
        data_samples=BaseDataElement(gt_label=torch.tensor([index % 3])),
    )


def loader(data, sampler=None):
    """Return batches of 2 of the given samples, or of that number of them."""
    samples = [sample(index) for index in range(data)] if isinstance(data, int) else data
    return DataLoader(samples, 2, collate_fn=pseudo_collate, sampler=sampler)


PREPROCESSOR = ImgDataPreprocessor(mean=[1.0] * 3, std=[2.0] * 3)


@pytest.mark.parametrize("shape", ["maps", "tokens", "pooled"])
def test_features_are_in_the_order_of_the_data(shape):
    result = extract_features(Brightness(shape), PREPROCESSOR, loader(7))
    expected = (torch.arange(7.0) - 1) / 2
    torch.testing.assert_close(result.features, expected[:, None].expand(7, 3))
    assert result.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert not result.features.requires_grad


def test_every_module_has_its_mode_again():
    model = nn.Sequential(Brightness("pooled"), nn.Flatten(), nn.Dropout())
    model.train()
    model[0].eval()
    model[0].forward = lambda images: images.mean(dim=(2, 3))
    before = [module.training for module in model.modules()]
    extract_features(model, PREPROCESSOR, loader(3))
    assert [module.training for module in model.modules()] == before
    assert before.count(False) == 2


def test_modes_are_restored_after_an_error_too():
    model = Brightness().train()
    with pytest.raises(ValueError, match="without a label"):
        extract_features(model, PREPROCESSOR, [dict(inputs=torch.zeros(1, 3, 4, 4))])
    assert model.training


def test_a_data_set_without_labels_is_refused():
    unlabeled = [dict(inputs=torch.zeros(3, 4, 4), data_samples=BaseDataElement())]
    with pytest.raises(ValueError, match="gt_label"):
        extract_features(Brightness(), PREPROCESSOR, loader(unlabeled))


def test_half_precision_is_used_and_returned_as_single(build_backbone):
    backbone = build_backbone(out_type="avg_featmap")
    images = [dict(sample(i), inputs=torch.randn(3, 64, 64)) for i in range(2)]
    data = loader(images)
    half = extract_features(backbone, PREPROCESSOR, data, torch.bfloat16).features
    single = extract_features(backbone, PREPROCESSOR, data).features
    assert half.dtype == torch.float32
    assert not torch.equal(half, single)
    torch.testing.assert_close(half, single, atol=0.1, rtol=0.1)


def test_progress_counts_batches():
    seen = []
    extract_features(Brightness(), PREPROCESSOR, loader(5), progress=lambda *a: seen.append(a))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_last_map_of_a_backbone_is_pooled(build_backbone):
    backbone, images = build_backbone(out_indices=(0, 2)).eval(), torch.randn(2, 3, 64, 64)
    pooled = build_backbone(out_type="avg_featmap").eval()
    pooled.load_state_dict(backbone.state_dict(), strict=False)
    torch.testing.assert_close(pooled_features(backbone, images), pooled(images)[0])


def test_encoders_that_take_a_mask_are_called_without_one():
    class Masked(nn.Module):
        num_extra_tokens = 1

        def forward(self, x, mask=True):
            assert mask is None
            return torch.tensor([[[9.0], [1.0], [3.0]]])

    assert pooled_features(Masked(), torch.zeros(1, 3, 4, 4)).tolist() == [[2.0]]


def test_mixing_is_left_out(mixmae_config):
    with_mixing = MODELS.build(mixmae_config["data_preprocessor"])
    without = MODELS.build(mixmae_config["data_preprocessor"] | dict(batch_transform=None))
    model = Brightness()
    features = [extract_features(model, p, loader(4)).features for p in (with_mixing, without)]
    assert torch.equal(*features)
    mean = with_mixing.mean.flatten()
    torch.testing.assert_close(features[0][0], -mean / with_mixing.std.flatten())


def _extract(rank, data):
    sampler = DefaultSampler(data, shuffle=False)
    result = extract_features(Brightness(), PREPROCESSOR, loader(data, sampler))
    return [tensor.tolist() for tensor in result]


def test_two_processes_get_every_image_once_and_in_order():
    data = [sample(index) for index in range(7)]
    codes, results = in_two_processes(_extract, data)
    expected = extract_features(Brightness(), PREPROCESSOR, loader(data))
    assert codes == [0, 0]
    assert results[0] == results[1] == [tensor.tolist() for tensor in expected]


def test_images_marked_as_corrupt_are_left_out_and_named(caplog):
    items = [sample(index) for index in range(7)]
    for index in (0, 4, 5):
        message = f"corrupt image '{index}.jpg': empty"
        items[index]["data_samples"].set_metainfo(dict(corrupt_images={f"{index}.jpg": message}))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        result = extract_features(Brightness(), PREPROCESSOR, loader(items))
    finally:
        logger.removeHandler(caplog.handler)

    assert result.labels.tolist() == [1, 2, 0, 0]
    torch.testing.assert_close(result.features[:, 0], (torch.tensor([1.0, 2, 3, 6]) - 1) / 2)
    messages = {record.getMessage() for record in caplog.records}
    (line,) = [text for text in messages if "left out" in text]
    assert "3 of 7 images are left out: corrupt image '0.jpg': empty" in line


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [(torch.float32, "float32 that .*check the weights"), (torch.bfloat16, "in float32")],
)
def test_features_that_are_not_finite_are_an_error(value, dtype, remedy):
    samples = [sample(index) for index in range(5)]
    samples[3]["inputs"][0, 0, 0] = value
    with pytest.raises(NonFiniteFeaturesError, match=f"^1 of 5 images .*{remedy}"):
        extract_features(Brightness(), PREPROCESSOR, loader(samples), dtype)


def test_corrupt_images_need_no_finite_features():
    samples = [sample(index) for index in range(3)]
    samples[1]["inputs"][:] = float("nan")
    samples[1]["data_samples"].set_metainfo({RECORD: {"a.jpg": "corrupt"}})
    assert len(extract_features(Brightness(), PREPROCESSOR, loader(samples)).labels) == 2
