import pytest
from mmengine.config.lazy import LazyObject
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS, MODELS, OPTIM_WRAPPERS
from torch import nn

from mim_plugins.backbones import MaskedSwin
from mim_plugins.config import resolve_type, type_name
from mim_plugins.engine.hooks import AtomicCheckpointHook


@pytest.mark.parametrize("scope", [None, "mmengine", "mim_plugins", "mmpretrain"])
@pytest.mark.parametrize(
    "kind",
    [
        "CheckpointHook",
        "mmengine.CheckpointHook",
        "mmengine.hooks.CheckpointHook",
        "mmengine.hooks.checkpoint_hook.CheckpointHook",
        CheckpointHook,
        LazyObject("mmengine.hooks", "CheckpointHook"),
        LazyObject("mmengine.hooks").CheckpointHook,
        LazyObject(["mmengine.hooks", "mmengine.runner"]).hooks.CheckpointHook,
    ],
)
def test_every_form_of_a_name_resolves_to_the_class(kind, scope):
    assert resolve_type(kind, HOOKS, scope) is CheckpointHook
    assert type_name(kind) == "CheckpointHook"


def test_other_scopes_and_functions_are_found():
    assert resolve_type("mim_plugins.AtomicCheckpointHook", HOOKS) is AtomicCheckpointHook
    assert resolve_type("MaskedSwin", MODELS, "mim_plugins") is MaskedSwin
    assert resolve_type("torch.nn.functional.relu", MODELS) is nn.functional.relu


@pytest.mark.parametrize(
    "kind", [None, "", "Nothing", "mmengine.Nothing", "no_package.Nothing", "torch.nn", 3]
)
def test_an_unknown_type_resolves_to_none(kind):
    assert resolve_type(kind, OPTIM_WRAPPERS, "mmengine") is None


def test_type_name_drops_scope_and_modules():
    assert type_name("mmpretrain.CenterCrop") == type_name("CenterCrop") == "CenterCrop"
    assert type_name(nn.SyncBatchNorm) == "SyncBatchNorm"
    assert type_name(None) == ""
