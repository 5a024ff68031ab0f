"""Settings of a built recipe that its table does not name; recipes of a kind share their values."""

import inspect
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import get_installed_path

from mim_plugins.config import type_name
from mim_plugins.registry import MODELS

BASES = dict(mmdet="{}mask-rcnn_r50_fpn.py", mmseg="upernet_swin.py")
# rows of the tables, or of speed
OPTIMIZER = {"lr", "momentum", "betas", "weight_decay", "fused"}
ENCODER = {"type", "arch", "img_size", "drop_path_rate", "init_cfg", "window_size", "with_cp"}
IN_TABLES = {"num_classes", "in_channels", "input_features", "norm_pix", "mask_ratio", "model_name",
             "embed_dims", "depth", "num_heads", "norm_eps", "label_smooth_val", "std", "channels",
             "crop_size", "stride"}  # fmt: skip
PARTS_IN_TABLES = ("backbone", "data_preprocessor", "_scope_", "train_cfg.augments",
                   "test_cfg.mode")  # fmt: skip
TRANSFORM = ("backend", "interpolation", "keep_ratio", "direction", "min_gt_bbox_wh", "fill_color",
             "fill_std", "pad_val")  # fmt: skip


def optimization(recipe):
    """Options of the optimizer that differ from PyTorch's, accumulation, averaging of weights."""
    known = inspect.signature(type(recipe.optimizer)).parameters
    options = {
        key: value
        for key, value in recipe.optimizer.defaults.items()
        if key in known and key not in OPTIMIZER and value != known[key].default
    }
    hooks = [type_name(hook["type"]) for hook in recipe.cfg.get("custom_hooks") or []]
    averaging = [hook for hook in hooks if "EMA" in hook or "SWA" in hook]
    return options, recipe.cfg.optim_wrapper.get("accumulative_counts", 1), averaging


def loader(recipe):
    """Images per process, sampler, whether it shuffles."""
    cfg = recipe.cfg.train_dataloader
    return cfg.batch_size, type_name(cfg.sampler.type), cfg.sampler.get("shuffle", True)


def data(recipe):
    """Return the data sets with their wrappers, and the parts of them that are read."""
    loaders = (f"{phase}_dataloader" for phase in ("train", "val", "test"))
    return [_parts(recipe.cfg[name].dataset) for name in loaders if recipe.cfg.get(name)]


def _parts(dataset):
    types = [type_name(dataset.type)]
    while "dataset" in dataset:
        dataset = dataset.dataset
        types.append(type_name(dataset.type))
    prefix = dataset.get("data_prefix") or {}
    folder = prefix.get("img_path") or prefix.get("img") if isinstance(prefix, dict) else prefix
    parts = (dataset.get("split"), dataset.get("ann_file"), folder)
    return " ".join([*types, *filter(None, parts)])


def transforms(recipe):
    """Resampling, filling and filters of the pipelines."""
    found = {}
    for phase in ("train", "test"):
        for transform in getattr(recipe, phase):
            whole = getattr(transform, "resize", transform)
            for part in (whole, *getattr(transform, "transforms", ())):
                for key in TRANSFORM:
                    value = getattr(part, key, None)
                    if value is not None:
                        name = f"{phase}.{type(transform).__name__}.{key}"
                        found.setdefault(name, set()).add(str(value))
    return {key: "/".join(sorted(values)) for key, values in found.items()}


def encoder(recipe):
    """Arguments of the encoder that differ from its defaults."""
    cfg = _encoder_settings(recipe)
    defaults = inspect.signature(MODELS.get(cfg["type"])).parameters
    return {
        key: value
        for key, value in cfg.items()
        if key not in ENCODER and (key not in defaults or value != defaults[key].default)
    }


def start(recipe):
    """Run of the checkpoint from which the encoder is initialized."""
    init_cfg = _encoder_settings(recipe).get("init_cfg")
    if not isinstance(init_cfg, dict):
        return None  # a rule of initialization
    assert (init_cfg["type"], init_cfg["prefix"]) == ("Pretrained", "backbone.")
    return Path(init_cfg["checkpoint"]).parts[-2]


def _encoder_settings(recipe):
    backbone = recipe.settings["backbone"]
    return backbone.get("encoder", backbone)


def method(recipe):
    """Return settings outside the encoder, or those that differ from the framework's model."""
    scope, name = recipe.cfg.default_scope, recipe.name.rpartition("/")[2]
    theirs = {}
    if scope in BASES:
        file = BASES[scope].format("cascade-" if name.startswith("cascade") else "")
        folder = Path(get_installed_path(scope)) / ".mim/configs/_base_/models"
        theirs = _flat(Config.fromfile(folder / file).model.to_dict())
    own = _flat(recipe.settings)
    return {
        key: own.get(key)
        for key in dict.fromkeys([*own, *theirs])
        if own.get(key) != theirs.get(key)
        and not key.startswith(PARTS_IN_TABLES)
        and key.rpartition(".")[2] not in IN_TABLES
    }


def _flat(value, path=()):
    """Entries of nested dicts and lists of dicts, by path."""
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not value:
        return {".".join(path): value}
    found = {}
    for key, each in value.items():
        found |= _flat(each, (*path, str(key)))
    return found
