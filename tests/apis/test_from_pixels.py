import torch
from mmengine.model import ImgDataPreprocessor
from torch import nn

from mim_plugins.apis.from_pixels import FromPixels


class Mean(nn.Module):
    in_channels = 2

    def forward(self, images):
        return (images.mean(dim=(2, 3)),)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Mean()
        self.data_preprocessor = ImgDataPreprocessor(mean=[10.0], std=[2.0])

    def forward(self, images, mode):
        assert mode == "tensor"
        return images.amax(dim=(1, 2, 3))


def test_pixels_are_normalized_once_for_logits():
    model = FromPixels(Classifier(), features=False)
    assert model.channels == 2
    assert model(torch.full((3, 2, 4, 4), 30.0)).tolist() == [10.0] * 3
