import pytest
from checkpoint_runs import hook_of, names
from mmengine.hooks import CheckpointHook
from tiny_run import toy_runner

from mim_plugins.checkpoints import has_digest
from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.errors import ConfigError


@pytest.mark.parametrize(
    "storage",
    [
        dict(backend_args=dict(backend="local")),
        dict(backend_args={}),
        dict(file_client_args=dict(backend="disk")),
        dict(backend_args=dict(backend="mim_plugins.AtomicLocalBackend")),
    ],
)
def test_local_files_are_atomic_and_have_a_digest(tmp_path, storage):
    runner = toy_runner(
        tmp_path, checkpoint=dict(save_best="acc", rule="greater", max_keep_ckpts=1) | storage
    )
    runner.train()
    hook_of(runner).after_val_epoch(runner, dict(acc=0.5))
    hook_of(runner).finish_saving()
    assert names(tmp_path) == ["best_acc_iter_4.pth", "iter_4.pth"]
    for name in names(tmp_path):
        with (tmp_path / name).open("rb") as file:
            assert has_digest(file)


@pytest.mark.parametrize(
    "settings",
    [
        dict(backend_args=dict(backend="local"), out_dir="s3://bucket"),
        dict(file_client_args=dict(backend="petrel")),
        dict(file_client_args=dict(prefix="s3")),
    ],
)
def test_backends_of_other_storage_are_kept(settings):
    hook = AtomicCheckpointHook(interval=1, **settings)
    assert hook.backend_args == settings.get("backend_args")
    assert hook.file_client_args == settings.get("file_client_args")


@pytest.mark.parametrize("kind", [AtomicCheckpointHook, CheckpointHook])
@pytest.mark.parametrize("place", ["", "out", "work", "s3"])
def test_two_hooks_with_the_same_files_are_refused(tmp_path, kind, place):
    folders = dict(out=str(tmp_path / "out"), work=str(tmp_path / "run"), s3="s3://bucket")
    out_dir = folders.get(place)
    second = kind(interval=1, by_epoch=False, out_dir=out_dir, filename_tmpl="iter_{:d}.pth")
    own = dict(out_dir=out_dir if place in ("out", "s3") else None)
    folder = (
        "s3://bucket/run" if place == "s3" else tmp_path / ("out/run" if place == "out" else "run")
    )
    with pytest.raises(ConfigError, match=f"two checkpoint hooks save .* in '{folder}' and would"):
        toy_runner(tmp_path / "run", checkpoint=own, hooks=[second]).train()
    assert not list(tmp_path.rglob("*.pth"))


def test_hooks_with_other_names_or_folders_are_accepted(tmp_path):
    out = str(tmp_path / "out")
    hooks = [
        CheckpointHook(interval=1, by_epoch=False, out_dir=out),
        AtomicCheckpointHook(interval=1, by_epoch=False, out_dir=f"{out}/run"),
        AtomicCheckpointHook(interval=1, by_epoch=False, filename_tmpl="other_{}.pth"),
    ]
    toy_runner(tmp_path / "run", iterations=1, hooks=hooks).train()
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.pth"))
    assert found == [
        "out/run/iter_1.pth",
        "out/run/run/iter_1.pth",
        "run/iter_1.pth",
        "run/other_1.pth",
    ]
