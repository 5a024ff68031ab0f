"""On the GPU, a resumed run gives the weights of an uninterrupted one."""

import pytest
import torch
from image_folders import write_images
from tiny_run import IMAGES, MIXMAE, MRMAE, run, run_in_pieces, same, tiny_config

pytestmark = pytest.mark.gpu


@pytest.fixture
def deterministic(monkeypatch):
    """Let CUDA's kernels add in a fixed order; the runs enable this, and the test disables it."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("model", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_a_resumed_run_ends_with_the_same_weights(
    device, deterministic, tmp_path, model, precision
):
    write_images(tmp_path / "images", IMAGES)
    cfg = tiny_config(tmp_path, "resumed", model)
    cfg.randomness.deterministic = True
    if device != "cpu":
        loss_scale = "dynamic" if precision == "float16" else dict(enabled=False)
        cfg.optim_wrapper.update(type="AmpOptimWrapper", dtype=precision, loss_scale=loss_scale)
    elif precision == "float16":
        pytest.skip("only on a GPU")
    complete, seen = run(cfg)
    resumed, seen_in_pieces = run_in_pieces(cfg, stops=[4])
    assert seen_in_pieces == seen
    assert same(complete, resumed)
