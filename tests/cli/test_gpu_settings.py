import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import RuntimeInfoHook
from mmengine.registry import HOOKS

from mim_plugins.cli import gpu_settings
from mim_plugins.errors import ConfigError


@HOOKS.register_module(force=True)
class OwnRuntimeInfoHook(RuntimeInfoHook):
    pass


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


def configured(**entries):
    cfg = Config(entries)
    gpu_settings.use_gpu_settings(cfg)
    return cfg


def test_gradients_share_the_memory_of_their_buckets(gpu):
    wrapper = configured(find_unused_parameters=True).model_wrapper_cfg
    assert wrapper.gradient_as_bucket_view
    assert wrapper.find_unused_parameters
    own = dict(type="MMDistributedDataParallel", broadcast_buffers=True)
    assert configured(model_wrapper_cfg=own).model_wrapper_cfg == own


@pytest.mark.parametrize("hook", ["RuntimeInfoHook", "mmengine.RuntimeInfoHook", RuntimeInfoHook])
def test_losses_are_read_when_they_are_logged(gpu, hook):
    deferred = dict(type="mim_plugins.DeferredScalarsHook")
    assert configured().default_hooks.runtime_info == deferred
    cfg = configured(default_hooks=dict(runtime_info=dict(type=hook)))
    assert cfg.default_hooks.runtime_info == deferred


@pytest.mark.parametrize("hook", [None, dict(type="OwnRuntimeInfoHook")])
def test_other_hooks_are_unchanged(gpu, hook):
    cfg = configured(default_hooks=dict(runtime_info=hook))
    assert cfg.default_hooks.runtime_info == hook


def test_nothing_changes_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert configured().to_dict() == {}


def test_an_unknown_choice_of_kernels_is_an_error(monkeypatch):
    monkeypatch.setenv("MIM_PLUGINS_ATTENTION", "flash")
    with pytest.raises(ConfigError, match="must be auto, triton or sdpa"):
        configured()
