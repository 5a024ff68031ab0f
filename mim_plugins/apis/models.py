"""Building models from configs, with their weights."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from ..checkpoints import compare_names, convert, find_layout, load_strictly, read_tensors
from ..errors import CheckpointError
from .model_zoo import override_config, read_config


def get_model(
    name_or_config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device = "cpu",
    teachers: bool = False,
    cfg_options: dict | None = None,
) -> Any:
    """Build the model of a config, in evaluation mode.

    It is the algorithm of a pre-training config and the classifier, detector or segmentor of a
    fine-tuning config. Classifiers also work in mmpretrain's ``ImageClassificationInferencer``.

    Args:
        name_or_config: a name of :func:`list_models`, a config file or a config.
        checkpoint: weights of the whole model, all of which must fit; None leaves random weights,
            with a warning.
        device: where the model is put.
        teachers: also build the teachers of MR-MAE, whose weights must be at hand. They are needed
            for similarity maps and focused masks only; without them, masks are uniform.
        cfg_options: changes of the config, as ``{'model.backbone.img_size': 192}``.

    Raises:
        FileNotFoundError: there is no such config, or a teacher's weights are not at hand.
        ConfigError: the config, or one of ``cfg_options``, is wrong.
        CheckpointError: the checkpoint cannot be read or does not fit.
    """
    if isinstance(name_or_config, Config):
        cfg = copy.deepcopy(name_or_config)
    else:
        cfg = read_config(name_or_config)
    override_config(cfg, cfg_options)
    model = build_model(cfg, teachers)
    if checkpoint is None:
        print_log("get_model: no checkpoint, so the weights are random", level=30)
    else:
        load_weights(model, checkpoint, allow_unexpected=() if teachers else ("mimics.",))
    return model.to(device).eval()


def build_model(cfg: Config, teachers: bool = True) -> Any:
    """The model of ``cfg`` with random weights, without MR-MAE's ``teachers`` if so wanted."""
    model_cfg = copy.deepcopy(cfg.model)
    if not teachers and "mimics" in model_cfg:
        model_cfg.mimics = None
        if "focus" in model_cfg:
            model_cfg.focus = None
    if cfg.get("data_preprocessor") is not None:
        model_cfg.setdefault("data_preprocessor", cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "mmpretrain"):
        model = MODELS.build(model_cfg)
    model._config = cfg  # where mmpretrain's inferencers look for the test pipeline
    return model


def load_weights(
    model: Any, checkpoint: str | Path, allow_unexpected: tuple[str, ...] = ()
) -> None:
    """Load a whole model's weights; every tensor of the model must be in the file and vice versa.

    Other people's checkpoints that :func:`convert` knows are converted.

    Args:
        model: any module.
        checkpoint: path or address, see :func:`read_tensors`.
        allow_unexpected: beginnings of names in the file that are not needed.

    Raises:
        CheckpointError: the file cannot be read, does not fit the model, or its tensors are no
            floats that the model's types can hold, or not finite.
    """
    tensors, own = read_tensors(checkpoint), set(model.state_dict())
    if not own & set(tensors):
        tensors = _converted(tensors, checkpoint)
    tensors = {
        name: tensor
        for name, tensor in tensors.items()
        if name in own or not name.startswith((*allow_unexpected, "data_preprocessor."))
    }
    problem = _mismatch(own, set(tensors))
    if problem:
        raise CheckpointError(f"'{checkpoint}' does not fit {type(model).__name__}: {problem}")
    load_strictly(model, tensors, checkpoint)


def _converted(tensors: dict[str, Tensor], checkpoint: str | Path) -> dict[str, Tensor]:
    """``tensors`` under our names where their layout is known, else as they are."""
    if find_layout(set(tensors)) is None:
        return tensors
    try:
        return convert(tensors)[1]
    except ValueError as error:
        raise CheckpointError(f"'{checkpoint}': {error}; give another checkpoint") from error


def _mismatch(own: set[str], given: set[str]) -> str:
    """Describe how names differ, with a remedy; empty if they are the same."""
    decoder = {name for name in own if name.startswith("decoder.")}
    if decoder and not decoder & given:
        return (
            "it has no decoder, so nothing can be reconstructed; it contains an encoder or a"
            " fine-tuned model. Give the checkpoint of the pre-training itself (epoch_N.pth)"
        )
    problems = compare_names(own, given)
    remedy = "give the config that the checkpoint was trained with"
    return "; ".join([*problems, remedy]) if problems else ""
