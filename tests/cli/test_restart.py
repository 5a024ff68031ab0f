import json

import pytest
from mmengine.config import Config

from mim_plugins.cli import restart
from mim_plugins.errors import GlobalBatchError


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    monkeypatch.setenv("WORLD_SIZE", "2")
    return Config(
        dict(
            work_dir=str(tmp_path), load_from="weights.pth", resume=False, launcher="pytorch",
            train_dataloader=dict(batch_size=6), train_cfg=dict(max_epochs=2), optim_wrapper={},
        )
    )  # fmt: skip


def record(tmp_path, launch="a", batch=24):
    content = dict(launch=launch, global_batch=batch, restarts=[])
    (tmp_path / "restarts.json").write_text(json.dumps(content))


def test_only_a_restart_of_this_launch_resumes(cfg, tmp_path):
    (tmp_path / "timed_0.pth").touch()
    assert not restart.resume_if_restarted(cfg)
    record(tmp_path, launch="b")
    assert not restart.resume_if_restarted(cfg)
    assert (cfg.resume, cfg.load_from) == (False, "weights.pth")
    record(tmp_path)
    assert restart.resume_if_restarted(cfg)
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_weights_are_loaded_again_until_a_checkpoint_exists(cfg, tmp_path):
    record(tmp_path)
    assert restart.resume_if_restarted(cfg)
    assert (cfg.resume, cfg.load_from) == (False, "weights.pth")
    (tmp_path / "last_checkpoint").touch()  # its files are lost, which is an error when resuming
    restart.resume_newest(cfg)
    assert (cfg.resume, cfg.load_from) == (True, None)


def test_a_launch_of_slurm_resumes_like_one_of_torchrun(cfg, tmp_path, monkeypatch):
    record(tmp_path, launch="123")
    (tmp_path / "timed_0.pth").touch()
    cfg.launcher = "slurm"
    assert not restart.resume_if_restarted(cfg)
    monkeypatch.setenv("MIM_PLUGINS_LAUNCH", "123")
    assert restart.resume_if_restarted(cfg)
    assert (cfg.resume, cfg.load_from) == (True, None)


@pytest.mark.parametrize("launch", ["none", None])
def test_launch_without_an_id_cannot_restart(monkeypatch, launch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if launch:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", launch)
    assert restart.launch_id("pytorch") is None


def test_a_run_that_inherits_the_id_of_a_launch_is_no_restart(cfg, tmp_path):
    cfg.launcher = "none"
    record(tmp_path)
    (tmp_path / "timed_0.pth").touch()
    assert not restart.resume_if_restarted(cfg)
    assert not cfg.resume


def test_global_batch_is_kept_on_fewer_processes(cfg, tmp_path):
    assert restart.keep_global_batch(cfg) is None
    record(tmp_path, batch=12)
    assert restart.keep_global_batch(cfg) is None
    record(tmp_path, batch=24)
    text = "24 kept after the restart: 2 processes * 6 images * 2 accumulated"
    assert text in restart.keep_global_batch(cfg)
    record(tmp_path, batch=16)
    text = "16 kept after the restart: 2 processes * 4 images * 2 accumulated"
    assert text in restart.keep_global_batch(cfg)
    record(tmp_path, batch=15)
    with pytest.raises(GlobalBatchError, match="2 processes cannot keep the global batch of 15"):
        restart.keep_global_batch(cfg)


def test_runs_that_count_iterations_warn(cfg, tmp_path):
    cfg.train_cfg = dict(type="IterBasedTrainLoop", max_iters=5)
    record(tmp_path, batch=24)
    assert "the global batch is now 12 images, not 24" in restart.keep_global_batch(cfg)
    assert "accumulative_counts" not in cfg.optim_wrapper
