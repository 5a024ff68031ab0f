"""Models without weights, for costs that follow from shapes."""

import copy
from typing import Any

import torch
from mmengine.config import Config

from ..algorithms import used_mimics
from ..apis import build_model
from ..registry import MODELS


def build_on_meta(cfg: Config) -> Any:
    """Build the model of ``cfg`` and its teachers in training mode, without weights.

    It is on the device ``meta``. Models that read numbers while they are built are on the CPU.
    """
    cfg = copy.deepcopy(cfg)
    for mimic in used_mimics("model", cfg.model.get("mimics")).values():
        mimic.target_generator = dict(type=_teacher_builder(mimic.target_generator))
    try:
        with torch.device("meta"):
            return build_model(cfg).train()
    except RuntimeError as error:
        if "meta" not in str(error):
            raise
        return build_model(cfg).train()


def _teacher_builder(target: Any) -> Any:
    if "pretrained" in target:
        target.pretrained = None
    # built on the CPU first, because open_clip moves its models to a device
    teacher = MODELS.build(target).to("meta")
    return lambda: teacher
