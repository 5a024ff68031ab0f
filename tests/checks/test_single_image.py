from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import nn
from torch.utils.data import DataLoader

from mim_plugins.checks import consistency
from mim_plugins.checks.single_image import rejects_one_image
from mim_plugins.errors import ConfigError


class Model(BaseModel):
    def __init__(self, *layers, norm_eval=False):
        super().__init__(BaseDataPreprocessor())
        self.layers = nn.Sequential(*layers)
        self.norm_eval = norm_eval

    def forward(self, inputs, mode="tensor"):
        return dict(loss=self.layers(torch.stack(inputs)).mean())

    def train(self, mode=True):
        super().train(mode)
        if self.norm_eval:
            self.layers.eval()
        return self


class Broken(Model):
    def forward(self, inputs, mode="tensor"):
        raise RuntimeError("of another kind")


def loader(size=1, batch=1, images=3):
    return DataLoader(
        [dict(inputs=torch.rand(3, size, size)) for _ in range(images)],
        batch,
        collate_fn=lambda samples: dict(inputs=[each["inputs"] for each in samples]),
    )


POOL, FLAT = nn.AdaptiveAvgPool2d(1), nn.Flatten()


@pytest.mark.parametrize(
    ("model", "size", "refuses"),
    [
        (Model(POOL, nn.BatchNorm2d(3)), 8, True),
        (Model(nn.BatchNorm2d(3)), 1, True),
        (Model(POOL, FLAT, nn.BatchNorm1d(3)), 8, True),
        (Model(nn.BatchNorm2d(3)), 8, False),
        (Model(nn.AdaptiveAvgPool2d(2), nn.BatchNorm2d(3)), 8, False),
        (Model(nn.Flatten(2), nn.BatchNorm1d(3)), 8, False),
        (Model(POOL, nn.BatchNorm2d(3), norm_eval=True), 8, False),
        (Model(POOL, nn.GroupNorm(1, 3)), 8, False),
        (Broken(nn.BatchNorm2d(3)), 8, None),
    ],
)
def test_trial_of_one_image_has_no_side_effects(model, size, refuses):
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [each.training for each in model.modules()]
    images, generator = loader(size), torch.get_rng_state()
    assert rejects_one_image(model, images) is refuses
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert [each.training for each in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)


def test_batch_of_one_is_rejected_where_it_occurs():
    model = Model(POOL, nn.BatchNorm2d(3))
    with pytest.raises(ConfigError, match=r"batch_size=1: batch normalization .* needs at least 2"):
        consistency.check_batches(model, loader(8, batch=1))
    with pytest.raises(ConfigError, match="last batch of 1 image"):
        consistency.check_batches(model, loader(8, batch=2))
    consistency.check_batches(model, loader(8, batch=2, images=4))
    consistency.check_batches(Model(nn.BatchNorm2d(3)), loader(8, batch=1))


def test_models_without_samples_or_preprocessor_are_not_tried():
    data = DataLoader([1, 2], 1)
    assert rejects_one_image(Model(nn.BatchNorm2d(3)), data) is None
    assert rejects_one_image(nn.BatchNorm2d(3), loader()) is None
    assert rejects_one_image(SimpleNamespace(modules=list), loader()) is False
