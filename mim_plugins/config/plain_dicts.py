"""Names in the dicts without ``type`` that MMEngine reads itself."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from mmengine.runner import Runner
from mmengine.utils.dl_utils import set_multi_processing
from torch.utils.data import DataLoader

from .arguments import Arguments, accepted_arguments

Path = tuple[str, ...]

DEFAULT_HOOKS = dict(
    runtime_info="RuntimeInfoHook",
    timer="IterTimerHook",
    sampler_seed="DistSamplerSeedHook",
    logger="LoggerHook",
    param_scheduler="ParamSchedulerHook",
    checkpoint="CheckpointHook",
)
"""Hooks that MMEngine registers if a config lacks ``default_hooks``."""

_EMPTY = inspect.Parameter.empty
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
# read by MMEngine's runner or by our tools, but no arguments of the runner
_ALSO_AT_TOP = (
    "activation_checkpointing", "compile", "detect_anomalous_params", "efficient_conv_bn_eval",
    "find_unused_parameters", "model_wrapper_cfg", "sync_bn", "tta_model", "tta_pipeline",
)  # fmt: skip


def plain_arguments(path: Path, node: dict) -> Arguments | None:
    """Return the names of a dict without ``type`` that MMEngine itself reads."""
    name = ".".join(path)
    if not path:
        return top_level()
    if path[-1] in _LOADERS and len(path) == 1:
        own = ("num_batch_per_epoch", "disable_subprocess_warning")
        names = accepted_arguments(DataLoader).names | dict.fromkeys(own, _EMPTY)
        # their annotations are those of the built objects, not of the dicts
        return Arguments(name, names | dict.fromkeys(_BUILT_FOR_LOADERS, _EMPTY), False)
    if path == ("optim_wrapper", "clip_grad"):
        clip = "clip_grad_value_" if node.get("type") == "value" else "clip_grad_norm_"
        return accepted_arguments(getattr(torch.nn.utils, clip))._replace(owner=clip)
    if path == ("optim_wrapper", "paramwise_cfg"):
        return Arguments(name, dict.fromkeys(_PARAMWISE, _EMPTY), True)
    if path[:3] == ("optim_wrapper", "paramwise_cfg", "custom_keys") and len(path) > 3:
        # others become settings of the optimizer's parameter groups
        return Arguments(name, dict.fromkeys(("decay_mult", "lr_mult"), _EMPTY), True)
    if path[:2] == ("log_processor", "custom_cfg") and len(path) == 3:
        statistics = ("data_src", "log_name", "method_name", "window_size")
        return Arguments(name, dict.fromkeys(statistics, _EMPTY), True)  # some take others
    functions: dict[Path, Callable] = {
        ("randomness",): Runner.set_randomness,
        ("compile",): torch.compile,
        ("env_cfg", "mp_cfg"): set_multi_processing,
        ("env_cfg", "dist_cfg"): torch.distributed.init_process_group,
    }
    if path in functions:
        arguments = accepted_arguments(functions[path])
        others = dict.fromkeys(_ADDED.get(path[-1], ()), _EMPTY)
        return arguments._replace(owner=name, names=arguments.names | others)
    plain: dict[Path, dict[str, Any]] = {
        ("auto_scale_lr",): dict(base_batch_size=int, enable=bool),
        ("env_cfg",): dict(cudnn_benchmark=bool, dist_cfg=dict, mp_cfg=dict, resource_limit=int),
    }
    if path in plain:
        return Arguments(name, plain[path], False)
    if path == ("default_hooks",):
        return Arguments(name, dict.fromkeys(DEFAULT_HOOKS, _EMPTY), True)
    return None


# of MMEngine's constructor and of those with layer-wise learning rates
_PARAMWISE = (
    "bias_decay_mult", "bias_lr_mult", "bypass_duplicate", "custom_keys", "dcn_offset_lr_mult",
    "decay_biases", "decay_rate", "decay_tokens", "decay_type", "dwconv_decay_mult",
    "flat_decay_mult", "head_depth", "layer_decay_rate", "norm_decay_mult", "num_layers",
)  # fmt: skip
# not passed on: removed by mmengine.dist.init_dist, and by ConsoleRunner
_ADDED = dict(dist_cfg=("init_backend", "port"), compile=("memory_budget", "scope"))
_BUILT_FOR_LOADERS = ("batch_sampler", "collate_fn", "dataset", "sampler", "worker_init_fn")


def top_level() -> Arguments:
    """Return the top-level entries that MMEngine's runner or a tool reads."""
    names = accepted_arguments(Runner).names | dict.fromkeys(_ALSO_AT_TOP, _EMPTY)
    del names["cfg"]
    return Arguments("the config", names, False)
