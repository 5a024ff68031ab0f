"""On the GPU, models give the numbers of the authors' code."""

from pathlib import Path

import pytest
import torch
from parity import compare_with_reference

from mim_plugins.checkpoints import read_reference

pytestmark = pytest.mark.gpu
DATA = Path(__file__).parents[1] / "data"
# relative errors of quantities and of the norms of gradients, which sum many small numbers
TOLERANCES = {torch.float32: (1e-4, 1e-4), torch.bfloat16: (0.03, 0.3)}


@pytest.mark.parametrize("dtype", TOLERANCES, ids=["f32", "bf16"])
@pytest.mark.parametrize("name", ["mixmim_tiny", "mcmae_tiny"])
def test_the_model_gives_the_authors_numbers(device, name, dtype):
    errors = compare_with_reference(read_reference(DATA / f"{name}.npz"), device, dtype)
    limits = {key: TOLERANCES[dtype][key.startswith("grad_norm/")] for key in errors}
    assert {key: error for key, error in errors.items() if error > limits[key]} == {}
