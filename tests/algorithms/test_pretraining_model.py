import pytest
import torch
from torch import nn

from mim_plugins.algorithms import PretrainingModel


class Half(PretrainingModel):
    def __init__(self):
        super().__init__(dict(type="MixDataPreprocessor"))
        self.backbone = nn.Identity()

    def loss(self, batch):
        return dict(loss_half=(batch / 2).mean())


def test_modes_choose_between_losses_and_features():
    images = torch.ones(2, 3, 4, 4)
    assert Half()(images, mode="loss")["loss_half"] == 0.5
    assert torch.equal(Half()(images), images)


def test_another_mode_is_refused_by_name():
    with pytest.raises(ValueError, match=r"Half: mode='predict' must be 'loss' or 'tensor'"):
        Half()(torch.ones(1, 3, 4, 4), mode="predict")


def test_a_subclass_must_implement_loss():
    model = PretrainingModel(dict(type="MixDataPreprocessor"))
    with pytest.raises(NotImplementedError):
        model(torch.ones(1, 3, 4, 4), mode="loss")
