"""Limits of the cost of a training step on a GPU: the figures of docs/benchmarks.md."""

from collections import Counter

import pytest
import tiny_run
import torch
from class_folders import finetune_config
from gpu_model import simulated_gpu, training_cost
from image_folders import write_images
from measured_encoders import ENCODERS, forward_passes
from tiny_run import IMAGES, MIXMAE, MRMAE, run, tiny_config
from torch.nn.attention import SDPBackend

from mim_plugins.analysis import build_on_meta
from mim_plugins.apis import read_config
from mim_plugins.data_preprocessors import copy_without_waiting
from mim_plugins.registry import MODELS

GB = 1e9
# launches, GB moved and GB kept of a step of 256 images in bfloat16: docs/benchmarks.md
SWIN_B = (2547, 330, 35.4)
COMPILED_SWIN_B = (2140, 248, 32.0)
SAVING_SWIN_B = (2141, 260, 20.7)  # memory_budget=0.9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "f32"])
@pytest.mark.parametrize("name", ENCODERS)
def test_attention_never_takes_the_math_path(monkeypatch, name, dtype):
    """Not even where the Triton kernels are disabled or differ."""
    monkeypatch.setenv("MIM_PLUGINS_ATTENTION", "sdpa")
    cfg, size = ENCODERS[name]
    with torch.device("meta"):
        encoder = MODELS.build(cfg).train()
    images = torch.empty(2, 3, *size, device="meta")
    with simulated_gpu() as gpu, gpu.autocast.region(dtype, dtype != torch.float32):
        forward_passes(encoder, images)
    assert gpu.attention.calls
    assert {reason for backend, reason, _ in gpu.attention.calls if backend == SDPBackend.MATH} == (
        set()
    )


@pytest.mark.parametrize("name", ["swin", "pvt"])
def test_evaluation_uses_the_attention_of_training(name):
    cfg, size = ENCODERS[name]
    with torch.device("meta"):
        encoder = MODELS.build(cfg)
    images, mask = torch.empty(2, 3, *size, device="meta"), torch.rand(1, 7, 7) < 0.5

    def kernels(training):
        encoder.train(training)
        autograd = torch.set_grad_enabled(training)
        with autograd, simulated_gpu() as gpu, gpu.autocast.region(torch.bfloat16):
            encoder.forward_mixed(images, mask)
        own = sum(x.name == "biased_attention" for x in gpu.trace.operations)
        return own, [call[0] for call in gpu.attention.calls]

    training = kernels(training=True)
    assert kernels(training=False) == training
    assert training[0] == (2 if name == "swin" else 0)  # in the stages of small groups


@pytest.mark.parametrize(
    ("limits", "compiled"),
    [
        (SWIN_B, {}),
        (COMPILED_SWIN_B, dict(scope="blocks")),
        (SAVING_SWIN_B, dict(scope="blocks", memory_budget=0.9)),
    ],
    ids=["eager", "compiled", "saving"],
)
def test_the_step_of_swin_b_stays_within_its_budget(limits, compiled):
    cfg = read_config("mixmae/swin_b_600e")
    torch.manual_seed(0)
    cost = training_cost(build_on_meta(cfg), cfg, 256, (224, 224), torch.bfloat16, **compiled)
    assert {backend for backend, _ in cost.attention} <= {
        SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION
    }  # fmt: skip
    assert cost.triton_attention == 20  # stages 3 and 4
    assert cost.waits == []
    found = cost.launches(), cost.bytes() / GB, cost.kept_bytes / GB
    assert [figure <= limit for figure, limit in zip(found, limits, strict=True)] == [True] * 3


def waits_of_a_run(cfg, monkeypatch):
    """Train for 5 iterations of 3 per epoch, and return the causes of waiting."""
    cfg.optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3))
    cfg.default_hooks.runtime_info = dict(type="mim_plugins.DeferredScalarsHook")
    cfg.default_hooks.checkpoint.interval = cfg.default_hooks.logger.interval = 100
    monkeypatch.setattr("mmengine.runner.runner.get_device", lambda: "meta")
    with simulated_gpu() as gpu:

        def start(hook, runner):
            if not runner.iter:  # the model is on the GPU, and the hooks have prepared the run
                copy_without_waiting(runner.model.data_preprocessor)
                gpu.trace.reset()

        monkeypatch.setattr(tiny_run.Counting, "before_train_epoch", start)
        run(cfg, stop_after=5)
    return Counter(cause for _, cause in gpu.trace.waits)


@pytest.mark.parametrize("model", [MIXMAE, MRMAE], ids=["mixmae", "mrmae"])
def test_the_training_loop_waits_once_per_iteration(tmp_path, monkeypatch, model):
    """For the loss guard; the losses are read when they are logged, here once per epoch."""
    write_images(tmp_path / "images", IMAGES)
    cfg = tiny_config(tmp_path, "waits", model)
    assert waits_of_a_run(cfg, monkeypatch) == {
        "a number is read (item)": 5, "a blocking copy between CPU and GPU": 1
    }  # fmt: skip


def test_the_loop_of_fine_tuning_waits_once_per_iteration(tmp_path, monkeypatch):
    write_images(tmp_path / "images" / "class", IMAGES)
    augments = [dict(type="Mixup", alpha=0.8), dict(type="CutMix", alpha=1.0)]
    model = finetune_config("")["model"] | dict(train_cfg=dict(augments=augments))
    model["head"]["loss"] = dict(type="LabelSmoothLoss", label_smooth_val=0.1, mode="original")
    preprocessor = dict(type="ClsDataPreprocessor", num_classes=3)
    cfg = tiny_config(tmp_path, "waits", model | dict(data_preprocessor=preprocessor))
    cfg.train_dataloader.dataset.type = "CustomDataset"
    assert waits_of_a_run(cfg, monkeypatch) == {
        "a number is read (item)": 5, "a blocking copy between CPU and GPU": 1
    }  # fmt: skip
