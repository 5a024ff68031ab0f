"""Construction of models from configs, with their weights."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor

from ..checkpoints import compare_names, convert, find_layout, load_strictly, read_tensors
from ..checkpoints.wrapped_names import unwrap_tensors
from ..errors import CheckpointError
from .model_zoo import override_config, read_config


def get_model(
    name_or_config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device = "cpu",
    teachers: bool = False,
    cfg_options: dict | None = None,
) -> Any:
    """Build the model of a config and set it to evaluation mode.

    The model is the algorithm of a pre-training config, or the classifier, detector or segmentor of
    a fine-tuning config. Classifiers also work in mmpretrain's ``ImageClassificationInferencer``.

    Args:
        name_or_config: a name of :func:`list_models`, a config file or a config.
        checkpoint: weights of the complete model, which must all fit; None keeps random weights and
            logs a warning.
        device: device of the model.
        teachers: also build the teachers of MR-MAE, whose weights must be available. Only
            similarity maps and attention-guided masks need them; without them, masks are random.
        cfg_options: changes to the config, such as ``{'model.backbone.img_size': 192}``.

    Raises:
        FileNotFoundError: the config or a teacher's weights do not exist.
        ConfigError: the config or one of ``cfg_options`` is wrong.
        CheckpointError: the checkpoint cannot be read or does not fit.

    Example:
        >>> import torch
        >>> from mim_plugins import extract_features, get_model
        >>> tiny = dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2), _delete_=True)
        >>> options = {"model.backbone.arch": tiny, "model.backbone.window_size": 7}
        >>> model = get_model("mixmae/swin_b_600e", cfg_options=options)
        get_model: no checkpoint is given, so the weights are random
        >>> pooled, maps = extract_features(model, torch.zeros(2, 3, 300, 400))
        >>> pooled.shape, maps[-1].shape
        (torch.Size([2, 16]), torch.Size([2, 16, 28, 28]))
    """
    if isinstance(name_or_config, Config):
        cfg = copy.deepcopy(name_or_config)
    else:
        cfg = read_config(name_or_config)
    override_config(cfg, cfg_options)
    model = build_model(cfg, teachers)
    if checkpoint is None:
        print_log("get_model: no checkpoint is given, so the weights are random", level=30)
    else:
        load_weights(model, checkpoint, allow_unexpected=() if teachers else ("mimics.",))
    return model.to(device).eval()


def build_model(cfg: Config, teachers: bool = True) -> Any:
    """Build the model of ``cfg`` with random weights, with or without MR-MAE's ``teachers``."""
    model_cfg = copy.deepcopy(cfg.model)
    if not teachers and "mimics" in model_cfg:
        model_cfg.mimics = None
        if "focus_teacher" in model_cfg:
            model_cfg.focus_teacher = None
    if cfg.get("data_preprocessor") is not None:
        model_cfg.setdefault("data_preprocessor", cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "mmpretrain"):
        model = MODELS.build(model_cfg)
    model._config = cfg  # mmpretrain's inferencers read the test pipeline from this attribute
    return model


def load_weights(
    model: Any, checkpoint: str | Path, allow_unexpected: tuple[str, ...] = ()
) -> None:
    """Load a complete model's weights; model and file must have the same tensors.

    Checkpoints of other code bases that :func:`convert` supports are converted, and names that
    ``torch.compile`` and other wrappers insert are left out.

    Args:
        model: any module.
        checkpoint: path or address, see :func:`read_tensors`.
        allow_unexpected: prefixes of names in the file that are ignored.

    Raises:
        CheckpointError: the file cannot be read, does not fit the model, or its tensors are not
            floats that the model's types can hold, or not finite.
    """
    state = model.state_dict()
    tensors = unwrap_tensors(read_tensors(checkpoint), state, str(checkpoint))
    own = set(state)
    layout = find_layout(set(tensors))
    if layout is not None and not layout.signature <= own:
        tensors = _converted(tensors, state, checkpoint)
    tensors = {
        name: tensor
        for name, tensor in tensors.items()
        if name in own or not name.startswith((*allow_unexpected, "data_preprocessor."))
    }
    problem = _mismatch(own, set(tensors))
    if problem:
        raise CheckpointError(f"'{checkpoint}' does not fit {type(model).__name__}: {problem}")
    load_strictly(model, tensors, checkpoint)


def _converted(
    tensors: dict[str, Tensor], own: dict[str, Tensor], checkpoint: str | Path
) -> dict[str, Tensor]:
    """Return the tensors of another code base under our names."""
    try:
        return convert(tensors, own)[1]
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
