import pytest
from mmengine.config import Config

from mim_plugins.checks.schedule_check import unreached_evaluations

HOOK = "mim_plugins.KNNHook"


def warnings(loop, hook=None, val=None):
    cfg = Config(dict(train_cfg=loop, default_hooks={}, custom_hooks=[], val_dataloader=val))
    if hook is not None and hook.pop("named", False):
        cfg.default_hooks = dict(knn=dict(type=HOOK, **hook))
    elif hook is not None:
        cfg.custom_hooks = [dict(type=HOOK, **hook)]
    return unreached_evaluations(cfg)


@pytest.mark.parametrize(
    ("loop", "hook", "val", "told"),
    [
        (dict(max_epochs=5), {}, None, "custom_hooks.0.interval=10 exceeds the run's 5 epochs"),
        (dict(max_epochs=5), dict(named=True), None, "default_hooks.knn.interval=10 exceeds"),
        (dict(max_epochs=1), dict(interval=2), None, "interval=2 exceeds the run's 1 epoch,"),
        (dict(max_iters=5), dict(interval=6, by_epoch=False), None, "the run's 5 iterations"),
        (dict(max_epochs=5, val_begin=6), None, dict(batch_size=1), "train_cfg.val_begin=6"),
        (dict(max_iters=5, val_begin=9), None, dict(batch_size=1), "5 iterations"),
    ],
)
def test_an_evaluation_after_the_end_is_a_warning(loop, hook, val, told):
    (warning,) = warnings(loop, hook, val)
    assert told in warning


@pytest.mark.parametrize(
    ("loop", "hook"),
    [(dict(max_epochs=10), {}), (dict(max_epochs=1, val_begin=9), None), (dict(), {}),
     (dict(max_epochs=1), dict(interval=500, by_epoch=False))],
)  # fmt: skip
def test_an_evaluation_within_the_run_is_no_warning(loop, hook):
    assert warnings(loop, hook) == []
