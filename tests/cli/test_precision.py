import pytest
import torch
from mmengine.config import Config
from mmengine.config.lazy import LazyObject
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from mim_plugins.cli import resolve_precision


@OPTIM_WRAPPERS.register_module(force=True)
class OwnAmpOptimWrapper(AmpOptimWrapper):
    pass


@pytest.fixture
def cfg():
    wrapper = dict(type="AmpOptimWrapper", dtype="bfloat16", loss_scale="dynamic")
    return Config(dict(optim_wrapper=wrapper))


def test_mixed_precision_becomes_float32_without_gpu(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "float32" in resolve_precision(cfg)
    assert cfg.optim_wrapper == dict(type="OptimWrapper")


def test_mixed_precision_becomes_float16_without_bfloat16(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation
    )
    assert "float16" in resolve_precision(cfg)
    assert cfg.optim_wrapper.dtype == "float16"


def test_mixed_precision_is_kept_with_bfloat16_support(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert resolve_precision(cfg) is None
    assert cfg.optim_wrapper.dtype == "bfloat16"


@pytest.mark.parametrize("scope", [None, "mim_plugins", "mmpretrain"])
@pytest.mark.parametrize(
    "kind",
    [
        "mmengine.AmpOptimWrapper",
        "mmengine.optim.AmpOptimWrapper",
        AmpOptimWrapper,
        LazyObject("mmengine.optim", "AmpOptimWrapper"),
    ],
)
def test_wrapper_is_recognized_under_any_spelling(cfg, monkeypatch, kind, scope):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cfg.optim_wrapper.update(type=kind, use_fsdp=False, accumulative_counts=2)
    cfg.default_scope = scope
    assert "float32" in resolve_precision(cfg)
    assert cfg.optim_wrapper == dict(type="OptimWrapper", accumulative_counts=2)


@pytest.mark.parametrize(
    "wrapper",
    [
        None,
        dict(),
        dict(type="OptimWrapper"),
        dict(type="OwnAmpOptimWrapper", dtype="bfloat16"),
        dict(type=OwnAmpOptimWrapper, dtype="bfloat16"),
    ],
)
def test_other_wrappers_are_unchanged(monkeypatch, wrapper):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cfg = Config(dict(optim_wrapper=wrapper))
    assert resolve_precision(cfg) is None
    assert cfg.optim_wrapper == wrapper


@pytest.mark.parametrize("kind", ["OptimWrapper", "AmpOptimWrapper"])
@pytest.mark.parametrize("dtype", ["float32", torch.float32])
@pytest.mark.parametrize("has_gpu", [True, False])
def test_float32_is_chosen_by_type_or_dtype(cfg, monkeypatch, kind, dtype, has_gpu):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    cfg.optim_wrapper.update(type=kind, dtype=dtype, loss_scale=dict(enabled=False), use_fsdp=True)
    assert resolve_precision(cfg) is None
    assert cfg.optim_wrapper == dict(type="OptimWrapper")


def test_the_type_alone_chooses_float32(cfg):
    cfg.optim_wrapper.type = "OptimWrapper"
    assert resolve_precision(cfg) is None
    assert cfg.optim_wrapper == dict(type="OptimWrapper")


def test_float64_is_not_reported_as_float16(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    cfg.optim_wrapper.update(dtype="float64", loss_scale=dict(enabled=False))
    assert resolve_precision(cfg) is None
    assert cfg.optim_wrapper.loss_scale == dict(enabled=False)


def test_torch_dtype_falls_back_as_well(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    cfg.optim_wrapper.dtype = torch.bfloat16
    assert "float16" in resolve_precision(cfg)
    assert cfg.optim_wrapper.dtype == "float16"


@pytest.mark.parametrize(
    ("given", "supported", "dtype", "scale"),
    [
        (dict(dtype="bfloat16"), True, "bfloat16", dict(enabled=False)),
        (dict(dtype="bfloat16", loss_scale="dynamic"), True, "bfloat16", "dynamic"),
        (dict(dtype="bfloat16", loss_scale=dict(enabled=False)), False, "float16", "dynamic"),
        (dict(dtype="bfloat16", loss_scale=512.0), False, "float16", 512.0),
        (dict(dtype="float16", loss_scale=dict(enabled=False)), True, "float16", "dynamic"),
        (dict(loss_scale=dict(enabled=False)), True, None, "dynamic"),
        (dict(dtype="float16"), True, "float16", None),
    ],
)
def test_only_float16_scales_the_loss(monkeypatch, given, supported, dtype, scale):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    cfg = Config(dict(optim_wrapper=dict(type="AmpOptimWrapper", **given)))
    resolve_precision(cfg)
    assert (cfg.optim_wrapper.get("dtype"), cfg.optim_wrapper.get("loss_scale")) == (dtype, scale)
