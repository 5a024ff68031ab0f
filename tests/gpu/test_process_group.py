"""NCCL with one process."""

import copy

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from tiny_run import MIXMAE, MRMAE
from torch import distributed

from mim_plugins.registry import MODELS

pytestmark = pytest.mark.gpu


@pytest.fixture
def group(device, tmp_path):
    backend = "gloo" if device == "cpu" else "nccl"
    distributed.init_process_group(
        backend, init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("cfg", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_a_process_of_a_group_trains_as_without_it(device, group, cfg):
    alone = MODELS.build(cfg).train().to(device)
    model = copy.deepcopy(alone)
    distributed_model = MMDistributedDataParallel(
        model, broadcast_buffers=False, gradient_as_bucket_view=True
    )
    data = dict(inputs=torch.randint(0, 256, (4, 3, 32, 32)), data_samples=None)
    for trained in (alone, distributed_model):
        wrapper = OptimWrapper(torch.optim.SGD(trained.parameters(), lr=0.1))
        torch.manual_seed(1)
        losses = trained.train_step(copy.deepcopy(data), wrapper)
        assert losses["loss"].isfinite()
    for name, weight in alone.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=1e-4, atol=1e-6)
