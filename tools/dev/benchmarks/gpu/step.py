"""Measurement of the training step of a config, in a separate process."""

import time
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from gpu.contest import Contestant
from meters import MemoryMeter, synchronize
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper

from mim_plugins.algorithms import used_mimics
from mim_plugins.apis import build_model, override_config, read_config

WARMUP_STEPS, COMPILED_WARMUP_STEPS = 3, 5  # with different masks


def load(contestant: Contestant) -> Config:
    """Return the config with the precision and the changes of a contestant, without weights."""
    foreign = "::" in contestant.config
    cfg = (get_config if foreign else read_config)(contestant.config)
    override_config(cfg, contestant.changes)
    for mimic in used_mimics("model", cfg.model.get("mimics")).values():
        mimic.target_generator.pretrained = None
    if not foreign:
        cfg.model.data_preprocessor.non_blocking = True  # as train.py does
    for name in ("type", "dtype", "loss_scale"):
        cfg.optim_wrapper.pop(name, None)
    if contestant.dtype == "float32":
        cfg.optim_wrapper.type = "OptimWrapper"
    else:
        scale = "dynamic" if contestant.dtype == "float16" else dict(enabled=False)
        cfg.optim_wrapper.update(type="AmpOptimWrapper", dtype=contestant.dtype, loss_scale=scale)
    return cfg


def image_side(cfg: Config) -> int:
    """Return the side of the images of a config, in pixels."""
    return int(cfg.model.backbone.get("img_size", 224))


def measure(contestant: Contestant) -> list[dict[str, Any]]:
    """Measure steps of each batch size; a batch that fails has an ``error``."""
    MMLogger.get_instance("benchmark", log_level="ERROR")  # omits a line per tensor
    cfg = load(contestant)
    torch.backends.cudnn.benchmark = bool((cfg.get("env_cfg") or {}).get("cudnn_benchmark"))
    torch.manual_seed(0)
    meter = MemoryMeter(contestant.device)
    model = build_model(cfg, teachers=True).train().to(contestant.device)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    if contestant.compiled:
        # sizes never change, so each stage can have specialized kernels
        model.loss = torch.compile(model.loss, dynamic=False)
    rows = []
    for batch in contestant.batches:
        try:
            rows.append(_measure(model, wrapper, batch, image_side(cfg), contestant, meter))
        except torch.OutOfMemoryError:
            rows.append(dict(batch=batch, error="out of memory"))
            wrapper.zero_grad()
            torch.cuda.empty_cache()
    return rows


def _measure(
    model: Any, wrapper: Any, batch: int, side: int, contestant: Contestant, meter: MemoryMeter
) -> dict[str, Any]:
    device = contestant.device
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)
    if device == "cuda":
        images = images.pin_memory()
    data = dict(inputs=images, data_samples=[None] * batch)
    start = time.perf_counter()
    for _ in range(COMPILED_WARMUP_STEPS if contestant.compiled else WARMUP_STEPS):
        losses = model.train_step(data, wrapper)
    synchronize(device)
    warmup = time.perf_counter() - start
    meter.restart()
    marks = [_mark(device)]
    for _ in range(contestant.repeats):
        losses = model.train_step(data, wrapper)
        marks.append(_mark(device))
    synchronize(device)
    seconds = [_between(*pair) for pair in pairwise(marks)]
    if not torch.isfinite(losses["loss"]):
        raise ValueError("the loss is not finite")
    return dict(
        batch=batch,
        step_s=dict(median=median(seconds), min=min(seconds), max=max(seconds)),
        images_per_s=batch / median(seconds),
        peak_bytes=meter.peak(),
        warmup_s=warmup,
    )


def _mark(device: str) -> Any:
    """Note the time, on a GPU without waiting for it."""
    if device != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(start: Any, end: Any) -> float:
    return end - start if isinstance(start, float) else start.elapsed_time(end) / 1e3
