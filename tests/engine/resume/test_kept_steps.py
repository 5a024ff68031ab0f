import pytest
from checkpoint_runs import names
from mmengine.hooks import CheckpointHook
from tiny_run import toy_runner

from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.engine.resume.kept_steps import KEPT_STEPS


def milestones(kind=AtomicCheckpointHook, **changes):
    settings = dict(interval=3, by_epoch=False, max_keep_ckpts=3, filename_tmpl="milestone_{}.pth")
    return kind(**settings | changes)


def run_of(folder, iterations, *hooks, **checkpoint):
    runner = toy_runner(
        folder,
        iterations=iterations,
        resume=iterations > 10,
        checkpoint=dict(max_keep_ckpts=2) | checkpoint,
        hooks=hooks,
    )
    runner.train()
    return [name for each in sorted(folder.parent.rglob("run*")) for name in names(each)]


@pytest.mark.parametrize(
    ("kind", "stops"),
    [
        (AtomicCheckpointHook, [20]),
        (AtomicCheckpointHook, [9, 20]),
        (AtomicCheckpointHook, [9, 13, 14, 20]),
        (CheckpointHook, [10, 20]),
    ],
)
@pytest.mark.parametrize("out_dir", [None, "out"])
def test_each_hook_removes_its_own_files(tmp_path, stops, kind, out_dir):
    place = {} if out_dir is None else dict(out_dir=str(tmp_path / out_dir))
    for stop in stops:
        hook = milestones(kind, save_last=False, **place)
        left = run_of(tmp_path / "run", stop, hook)
    regular, others = ["iter_19.pth", "iter_20.pth"], [f"milestone_{i}.pth" for i in (12, 15, 18)]
    assert left == (regular + others if out_dir is None else others + regular)


def test_same_names_in_another_folder_are_counted_separately(tmp_path):
    for stop in (9, 20):
        hook = milestones(
            filename_tmpl="iter_{}.pth", save_last=False, out_dir=str(tmp_path / "out")
        )
        left = run_of(tmp_path / "run", stop, hook)
    assert left == [f"iter_{i}.pth" for i in (12, 15, 18, 19, 20)]


def test_number_of_hooks_may_change(tmp_path):
    folder = tmp_path / "run"
    run_of(folder, 10, milestones(save_last=False))
    kept = [f"milestone_{i}.pth" for i in (3, 6, 9)]
    assert run_of(folder, 11) == ["iter_10.pth", "iter_11.pth", *kept]
    assert run_of(folder, 12) == ["iter_11.pth", "iter_12.pth", *kept]
    left = run_of(folder, 15, milestones(save_last=False))
    assert left == ["iter_14.pth", "iter_15.pth", *[f"milestone_{i}.pth" for i in (15, 6, 9)]]


def test_fewer_files_are_kept_after_a_resume(tmp_path):
    folder = tmp_path / "run"
    run_of(folder, 10, milestones(save_last=False))
    left = run_of(folder, 11, milestones(max_keep_ckpts=1, save_last=False))
    assert left == ["iter_10.pth", "iter_11.pth", "milestone_9.pth"]


def test_single_hook_keeps_the_key_of_mmengine(tmp_path):
    runner = toy_runner(tmp_path, checkpoint=dict(max_keep_ckpts=2))
    runner.train()
    assert runner.message_hub.get_info(KEPT_STEPS) == [3, 4]
