from types import SimpleNamespace

import pytest
from mmengine.runner import Runner

from mim_plugins.config.plain_dicts import DEFAULT_HOOKS, plain_arguments

PLACES = {
    "": "model work_dir train_dataloader compile tta_model sync_bn",
    "val_dataloader": "batch_size num_workers dataset sampler collate_fn num_batch_per_epoch",
    "optim_wrapper.clip_grad": "max_norm norm_type",
    "optim_wrapper.paramwise_cfg": "custom_keys layer_decay_rate norm_decay_mult",
    "optim_wrapper.paramwise_cfg.custom_keys.pos_embed": "lr_mult decay_mult",
    "log_processor.custom_cfg.0": "data_src log_name method_name window_size",
    "randomness": "seed deterministic diff_rank_seed",
    "compile": "backend mode dynamic",
    "env_cfg": "cudnn_benchmark mp_cfg dist_cfg resource_limit",
    "env_cfg.mp_cfg": "mp_start_method opencv_num_threads",
    "env_cfg.dist_cfg": "backend timeout init_backend port",
    "auto_scale_lr": "base_batch_size enable",
    "default_hooks": "timer checkpoint",
}


def at(place, node=None):
    return plain_arguments(tuple(place.split(".")) if place else (), node or {})


@pytest.mark.parametrize(("place", "names"), PLACES.items())
def test_names_that_mmengine_reads_are_known(place, names):
    assert set(names.split()) <= at(place).names.keys()


def test_the_kind_of_clipping_determines_its_arguments():
    assert "clip_value" in at("optim_wrapper.clip_grad", dict(type="value")).names
    assert "clip_value" not in at("optim_wrapper.clip_grad").names


def test_the_config_itself_is_no_entry():
    assert "cfg" not in at("").names


@pytest.mark.parametrize("place", ["model", "train_dataloader.dataset", "env_cfg.other"])
def test_other_dicts_are_unknown(place):
    assert at(place) is None


def test_default_hooks_are_those_that_mmengine_registers():
    registered = []
    Runner.register_default_hooks(SimpleNamespace(register_hook=registered.append))
    assert sorted(hook["type"] for hook in registered) == sorted(DEFAULT_HOOKS.values())
