"""Modeled cost of the measured steps, from the cost model and not from a GPU."""

import sys
from pathlib import Path
from typing import Any

import torch
from gpu.contest import Contestant
from gpu.step import image_side, load
from mmengine.logging import MMLogger

from mim_plugins.analysis import build_on_meta

sys.path.insert(0, str(Path(__file__).parents[3] / "analysis_tools"))
from gpu_model import GPUS, training_cost


def rates_of(device_name: str) -> str:
    """Return the GPU of the cost model with this name, or H200 for any other device."""
    return next((name for name in GPUS if name in device_name), "H200")


def predict(contestants: list[Contestant], gpu: str) -> list[dict[str, Any]]:
    """Model the eager steps, once for each config, precision and batch size."""
    MMLogger.get_instance("benchmark", log_level="ERROR")
    rows = []
    for contestant in contestants:
        if contestant.compiled:
            continue
        cfg = load(contestant)
        side = image_side(cfg)
        for batch in contestant.batches:
            torch.manual_seed(0)
            dtype = getattr(torch, contestant.dtype)
            cost = training_cost(build_on_meta(cfg), cfg, batch, (side, side), dtype)
            rows.append(
                dict(
                    name=contestant.name,
                    dtype=contestant.dtype,
                    batch=batch,
                    gpu=gpu,
                    step_s=cost.seconds(GPUS[gpu]),
                    peak_bytes=cost.peak_bytes,
                    kept_bytes=cost.kept_bytes,
                    launches=cost.launches(),
                )
            )
    return rows
