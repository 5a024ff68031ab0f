import pytest
from mmengine.hooks import EMAHook, ParamSchedulerHook
from tiny_run import toy_runner

from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.errors import ConfigError

KEEP = dict(max_keep_ckpts=1)


class Slow(EMAHook):
    pass


def saver(**settings):
    return AtomicCheckpointHook(**dict(interval=2, by_epoch=False) | settings)


@pytest.mark.parametrize(
    ("hooks", "checkpoint", "expected"),
    [
        (
            [EMAHook(), Slow(momentum=0.1)],
            {},
            r"2 hooks .* EMAHook \(EMAHook, Slow\), but each",
        ),
        ([ParamSchedulerHook()], {}, "2 hooks of type ParamSchedulerHook"),
        (
            [saver(save_best="acc", filename_tmpl="best_{}.pth")],
            dict(save_best="loss"),
            r"save_best=\['loss', 'acc'\]",
        ),
    ],
)
def test_contradicting_hooks_are_refused_before_training(
    tmp_path, monkeypatch, hooks, checkpoint, expected
):
    monkeypatch.chdir(tmp_path)
    runner = toy_runner(tmp_path / "run", hooks=hooks, checkpoint=checkpoint)
    with pytest.raises(ConfigError, match=expected) as raised:
        runner.train()
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    ("second", "checkpoint", "files"),
    [
        (dict(filename_tmpl="milestone_{}.pth"), KEEP, {"iter_4.pth", "milestone_2.pth"}),
        (dict(out_dir="other"), KEEP, {"iter_4.pth", "iter_2.pth"}),
        (dict(save_best="acc", filename_tmpl="of_best_{}.pth"), KEEP, {"iter_4.pth"}),
    ],
)
def test_separate_hooks_pass(tmp_path, monkeypatch, second, checkpoint, files):
    monkeypatch.chdir(tmp_path)
    hooks = [EMAHook(), saver(**second)]
    toy_runner(tmp_path / "run", hooks=hooks, checkpoint=checkpoint).train()
    assert {path.name for path in tmp_path.rglob("*.pth")} >= files
