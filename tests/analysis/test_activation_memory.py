import weakref

import pytest
import torch
from tiny_models import SMALL_SWIN
from torch import nn

from mim_plugins.analysis import activation_bytes
from mim_plugins.registry import MODELS


def test_bytes_are_those_that_the_backward_pass_needs():
    layer, images = nn.Linear(8, 4, bias=False), torch.zeros(16, 8, requires_grad=True)
    # linear saves its input, tanh its output; the weight is a parameter
    forward = lambda: layer(images.clone()).tanh()  # noqa: E731
    assert activation_bytes(forward, layer.parameters()) == 4 * (16 * 8 + 16 * 4)


def test_shared_memory_counts_once():
    x = torch.zeros(10, requires_grad=True)
    y = x.clone()
    assert activation_bytes(lambda: y * y[:] * y.view(2, 5).reshape(10), [x]) == 4 * (10 + 10)


def test_nothing_is_saved_without_gradients():
    layer = nn.Linear(8, 4)
    with torch.no_grad():
        assert activation_bytes(lambda: layer(torch.zeros(2, 8)), layer.parameters()) == 0


@pytest.mark.parametrize("with_cp", [False, True])
def test_the_meta_device_gives_the_bytes_of_a_real_pass(with_cp, monkeypatch):
    # the meta device uses the kernels of GPUs; those of Triton do not run on the CPU
    monkeypatch.setenv("MIM_PLUGINS_ATTENTION", "sdpa")
    way = "mim_plugins.layers.transformer.uses_cpu_kernel"
    monkeypatch.setattr(way, lambda _: False)
    cfg = SMALL_SWIN | dict(with_cp=with_cp)
    kept = {}
    for device in ("cpu", "meta"):
        with torch.device(device):
            model = MODELS.build(cfg)
            kept[device] = activation_bytes(
                lambda m=model: m(torch.zeros(2, 3, 32, 32))[0].sum(), model.parameters()
            )
    tokens = 2 * 64 * 8 * 4  # bytes in the first stage
    assert kept["meta"] == pytest.approx(kept["cpu"], rel=0.02)
    assert kept["cpu"] > 2 * tokens


def test_no_memory_is_kept_afterwards():
    inputs = torch.zeros(3, requires_grad=True)
    alive = []

    def forward():
        output = inputs.sigmoid()  # a node that saves its own output
        output.grad_fn.metadata["lives with the node"] = marker = torch.nn.Identity()
        alive.append(weakref.ref(marker))
        return output

    assert activation_bytes(forward, []) == 4 * 3
    assert alive[0]() is None
