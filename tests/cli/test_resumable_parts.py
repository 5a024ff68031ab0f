import pytest
from mmengine.config import Config
from mmengine.config.lazy import LazyObject
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS, LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from mim_plugins.cli import enable_exact_resume
from mim_plugins.errors import ConfigError

ATOMIC = "mim_plugins.AtomicCheckpointHook"


@LOOPS.register_module(force=True)
class OwnEpochLoop(EpochBasedTrainLoop):
    pass


@HOOKS.register_module(force=True)
class OwnCheckpointHook(CheckpointHook):
    pass


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        (dict(by_epoch=True, max_epochs=2), "mim_plugins.ResumableEpochLoop"),
        (dict(by_epoch=False, max_iters=2), "mim_plugins.ResumableIterLoop"),
        (dict(type="EpochBasedTrainLoop", max_epochs=2), "mim_plugins.ResumableEpochLoop"),
        (dict(type="IterBasedTrainLoop", max_iters=2), "mim_plugins.ResumableIterLoop"),
        (
            dict(type="mim_plugins.ResumableIterLoop", by_epoch=True),
            "mim_plugins.ResumableIterLoop",
        ),
        (dict(type="SomeLoop"), "SomeLoop"),
    ],
)
def test_loops_of_mmengine_are_replaced_by_resumable_ones(loop, expected):
    cfg = Config(
        dict(train_cfg=loop, default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=3)))
    )
    text = enable_exact_resume(cfg)
    assert cfg.train_cfg.type == expected
    assert "by_epoch" not in cfg.train_cfg
    assert cfg.default_hooks.checkpoint == dict(type="mim_plugins.AtomicCheckpointHook", interval=3)
    assert "AtomicCheckpointHook" in text
    assert enable_exact_resume(cfg) is None


@pytest.mark.parametrize("scope", [None, "mim_plugins", "mmpretrain"])
@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        ("mmengine.EpochBasedTrainLoop", "mim_plugins.ResumableEpochLoop"),
        ("mmengine.runner.loops.IterBasedTrainLoop", "mim_plugins.ResumableIterLoop"),
        (IterBasedTrainLoop, "mim_plugins.ResumableIterLoop"),
        (LazyObject("mmengine.runner", "EpochBasedTrainLoop"), "mim_plugins.ResumableEpochLoop"),
        (OwnEpochLoop, OwnEpochLoop),
        ("OwnEpochLoop", "OwnEpochLoop"),
    ],
)
def test_loop_is_replaced_under_any_spelling(loop, expected, scope):
    cfg = Config(dict(train_cfg=dict(type=loop, max_epochs=1), default_scope=scope))
    enable_exact_resume(cfg)
    assert cfg.train_cfg.type == expected


@pytest.mark.parametrize(
    "kind",
    [
        "mmengine.CheckpointHook",
        "mmengine.hooks.CheckpointHook",
        CheckpointHook,
        LazyObject("mmengine.hooks", "CheckpointHook"),
    ],
)
def test_checkpoint_hook_is_replaced_under_any_spelling(kind):
    cfg = Config(
        dict(
            default_hooks=dict(checkpoint=dict(type=kind, interval=3)),
            custom_hooks=[dict(type=kind, save_best="auto"), dict(type="EMAHook")],
        )
    )
    enable_exact_resume(cfg)
    assert cfg.default_hooks.checkpoint == dict(type=ATOMIC, interval=3)
    assert cfg.custom_hooks == [dict(type=ATOMIC, save_best="auto"), dict(type="EMAHook")]
    assert "AtomicCheckpointHook" in cfg.pretty_text


@pytest.mark.parametrize(
    "hooks", [{}, dict(default_hooks=None), dict(default_hooks=dict(timer=None))]
)
def test_mmengines_default_hook_is_replaced(hooks):
    cfg = Config(dict(train_cfg=dict(by_epoch=True, max_epochs=1), **hooks))
    assert "AtomicCheckpointHook" in enable_exact_resume(cfg)
    assert cfg.default_hooks.checkpoint == dict(type=ATOMIC, interval=1)


@pytest.mark.parametrize("kind", [OwnCheckpointHook, "OwnCheckpointHook", None])
def test_custom_or_disabled_checkpoint_hook_is_kept(kind):
    hook = kind and dict(type=kind)
    cfg = Config(dict(default_hooks=dict(checkpoint=hook)))
    assert enable_exact_resume(cfg) is None
    assert cfg.default_hooks.checkpoint == hook


def test_undefined_loop_is_rejected():
    cfg = Config(dict(train_cfg=dict(max_epochs=1)))
    with pytest.raises(ConfigError, match="defines no loop: add by_epoch=True"):
        enable_exact_resume(cfg)


@pytest.mark.parametrize(
    ("hooks", "place"),
    [
        (dict(default_hooks=dict(checkpoint=CheckpointHook())), "default_hooks.checkpoint"),
        (dict(custom_hooks=[CheckpointHook()]), "custom_hooks.0"),
    ],
)
def test_hook_object_is_kept_and_reported(hooks, place):
    cfg = Config(dict(train_cfg=dict(by_epoch=True, max_epochs=1), **hooks))
    assert (
        f"{place} is an object, so MMEngine's CheckpointHook is not replaced"
        in enable_exact_resume(cfg)
    )
