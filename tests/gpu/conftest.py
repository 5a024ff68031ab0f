"""Tests of the GPU, or of the device in the environment variable MIM_PLUGINS_DEVICE."""

import os

import pytest
import torch

DEVICE = os.environ.get("MIM_PLUGINS_DEVICE", "cuda")


@pytest.fixture(autouse=True)
def device(monkeypatch):
    """Name of the tested device, on which runners train, without TF32."""
    if DEVICE != "cpu" and not torch.cuda.is_available():
        pytest.skip("no GPU; with MIM_PLUGINS_DEVICE=cpu, most of these tests run on the CPU")
    monkeypatch.setattr("mmengine.runner.runner.get_device", lambda: DEVICE)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    return DEVICE


@pytest.fixture
def cuda(device):
    """Name of the GPU; the test is skipped on the CPU."""
    if device == "cpu":
        pytest.skip("only on a GPU")
    return device
