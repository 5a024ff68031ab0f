import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from torch import nn

from mim_plugins.apis.from_pixels import FromPixels
from mim_plugins.data_preprocessors import MixDataPreprocessor
from mim_plugins.errors import ConfigError


class Mean(nn.Module):
    def __init__(self, in_channels):
        super().__init__()
        self.in_channels = in_channels

    def forward(self, images):
        return (images.mean(dim=(2, 3)),)


class Classifier(nn.Module):
    run_config = {}

    def __init__(self, preprocessor, channels=2):
        super().__init__()
        self.backbone = Mean(channels)
        self.data_preprocessor = preprocessor

    def forward(self, images, mode):
        assert mode == "tensor"
        return images.amax(dim=(1, 2, 3))


def loading(*steps):
    steps = [dict(type="mim_plugins.LoadImage"), *steps]
    return dict(train_dataloader=dict(dataset=dict(pipeline=steps)))


def test_pixels_are_normalized_once_for_logits():
    model = FromPixels(Classifier(ImgDataPreprocessor(mean=[10.0], std=[2.0])), features=False)
    assert model.channels == 2
    assert model(torch.full((3, 2, 4, 4), 30.0)).tolist() == [10.0] * 3


@pytest.mark.parametrize("kind", [ImgDataPreprocessor, MixDataPreprocessor])
@pytest.mark.parametrize("bgr_to_rgb", [True, False])
def test_models_of_bgr_files_get_bgr(kind, bgr_to_rgb):
    normal = dict(mean=[1.0, 2.0, 3.0], std=[1.0, 1.0, 1.0])
    model = Classifier(kind(bgr_to_rgb=bgr_to_rgb, **normal), 3)
    model.run_config = loading()
    rgb = torch.tensor([10.0, 20.0, 30.0]).reshape(1, 3, 1, 1)
    expected = model.data_preprocessor(dict(inputs=[rgb[0].flip(0)]))["inputs"]
    assert FromPixels(model, features=True)(rgb).tolist() == expected.flatten(1).tolist()


def test_models_whose_pipeline_normalizes_are_refused():
    model = Classifier(ImgDataPreprocessor())
    model.run_config = loading(dict(type="Normalize"))
    with pytest.raises(ConfigError, match="train_dataloader: the pipeline contains Normalize"):
        FromPixels(model, features=False)
