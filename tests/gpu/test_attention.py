"""Attention runs on the kernels that the cost model predicts."""

from collections import Counter

import pytest
import torch
from gpu_model import simulated_gpu
from measured_encoders import ENCODERS, forward_passes
from profiled_attention import profile_attention

from mim_plugins.registry import MODELS

pytestmark = pytest.mark.gpu


def predicted(cfg, size, dtype):
    """Count the kernels that the cost model chooses for this GPU."""
    torch.manual_seed(0)
    with torch.device("meta"):
        encoder = MODELS.build(cfg).train()
    capability = torch.cuda.get_device_capability()[0]
    images = torch.empty(2, 3, *size, device="meta")
    with simulated_gpu(capability) as gpu, gpu.autocast.region(dtype, dtype != torch.float32):
        forward_passes(encoder, images)
    own = (x.name for x in gpu.trace.operations if x.name == "biased_attention")
    return Counter(backend for backend, _, _ in gpu.attention.calls) + Counter(own)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "f32"])
@pytest.mark.parametrize("name", ENCODERS)
def test_kernels_are_the_predicted_ones(cuda, record_property, name, dtype):
    cfg, size = ENCODERS[name]
    expected = predicted(cfg, size, dtype)
    torch.manual_seed(0)
    encoder = MODELS.build(cfg).train().to(cuda)
    images = torch.rand(2, 3, *size, device=cuda)
    with torch.autocast("cuda", dtype, enabled=dtype != torch.float32):
        forward_passes(encoder, images)  # compares the Triton kernels with PyTorch's attention
        found = profile_attention(lambda: forward_passes(encoder, images))
    record_property("kernels", " | ".join(found.kernels))
    assert found.calls == expected
