import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn

from mim_plugins.engine.model_wrapper import unwrap_model


def test_model_without_a_wrapper_is_returned_itself():
    model = nn.Linear(1, 1)
    model.module = nn.Linear(1, 1)  # a layer of this name makes no wrapper
    assert unwrap_model(model) is model


@pytest.mark.parametrize("kind", [MMDistributedDataParallel, nn.parallel.DistributedDataParallel])
def test_model_inside_a_distributed_wrapper_is_returned(kind):
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        model = nn.Linear(1, 1)
        assert unwrap_model(kind(model)) is model
    finally:
        torch.distributed.destroy_process_group()
