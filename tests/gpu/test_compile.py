"""Compiled models give the losses and gradients of eager ones."""

import copy

import pytest
import torch
from mmengine.model import BaseModel
from parity import relative_error
from tiny_run import MIXMAE, MRMAE

from mim_plugins.registry import MODELS

pytestmark = pytest.mark.gpu


@pytest.fixture(params=["mixmae", "mrmae"])
def model(device, request):
    cfg = copy.deepcopy(dict(mixmae=MIXMAE, mrmae=MRMAE)[request.param])
    cfg["backbone"]["drop_path_rate"] = 0.0
    return MODELS.build(cfg).train().to(device)


def losses_and_gradients(model: BaseModel, loss) -> list:
    torch.manual_seed(2)  # of masks and partners
    images = torch.randint(0, 256, (4, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    data = model.data_preprocessor(dict(inputs=images, data_samples=[None] * 4), training=True)
    total, _ = model.parse_losses(loss(data["inputs"]))
    model.zero_grad()
    total.backward()
    return [total, *(p.grad for p in model.parameters() if p.grad is not None)]


def test_a_compiled_model_has_the_gradients_of_the_eager_one(device, model):
    backend = "aot_eager" if device == "cpu" else "inductor"  # whose C++ compiler takes minutes
    with torch._inductor.config.patch(fallback_random=True):  # draws the masks of the eager model
        eager = losses_and_gradients(model, model.loss)
        compiled = torch.compile(model.loss, backend=backend, dynamic=False)
        found = losses_and_gradients(model, compiled)
    assert len(found) == len(eager) > 20
    for ours, expected in zip(found, eager, strict=True):
        assert relative_error(ours, expected) < 1e-3
