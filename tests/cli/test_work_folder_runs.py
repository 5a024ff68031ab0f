"""Configs of runs in work folders."""

import os

import pytest
from mmengine.config import Config

from mim_plugins.cli.own_runs import WRITTEN_BY
from mim_plugins.cli.training import prepare_config, train_arguments
from mim_plugins.cli.work_folder_runs import find_run_config
from mim_plugins.errors import WorkDirError

SCRIPTS = dict(
    script="raise AssertionError('executed')",
    training="model = Net()\ntrain_dataloader = DataLoader(data)\nmodel.train()",
    broken="model = dict(\n",
    part="model = dict(type='MixMAE')",
    late=f"x = 1\n# {WRITTEN_BY}",
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def dump(path):
    loader = dict(batch_size=2, dataset=dict(type="UnlabeledImageFolder"))
    Config(dict(model=dict(type="MixMAE"), train_dataloader=loader)).dump(path)
    return path


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_other_python_files_are_no_configs(run, name):
    for script in (run.with_name("run.py"), run / f"{name}.py"):
        script.write_text(SCRIPTS[name])
    with pytest.raises(WorkDirError, match="the config of the run is unknown"):
        find_run_config(run)
    assert find_run_config(dump(run / "vit_b.py").parent) == run / "vit_b.py"


COMMAND = f"""# MixMAE on own images, {WRITTEN_BY} pretrain.
_base_ = 'x.py'
model = dict(head=dict())
train_dataloader = dict(batch_size=2)
"""


def test_config_with_the_options_of_the_run_is_preferred(run):
    beside = run.with_name("run.py")
    beside.write_text(COMMAND)
    assert find_run_config(run) == beside
    (run / "tuned.py").write_text(COMMAND)  # of a run in the folder run/tuned
    assert find_run_config(run) == beside
    written = dump(run / "run.py")
    assert find_run_config(run) == written
    beside.unlink()
    written.unlink()
    assert find_run_config(run) == run / "tuned.py"


def test_newest_of_several_written_configs_is_read(run):
    run.with_name("run.py").write_text(COMMAND)
    for seconds, name in ((2, "a"), (3, "b"), (1, "c")):
        os.utime(dump(run / f"{name}.py"), (seconds, seconds))
    assert find_run_config(run) == run / "b.py"


def test_several_configs_of_commands_are_ambiguous(run):
    for name in "ab":
        (run / f"{name}.py").write_text(COMMAND)
    remedy = rf"contains 2 .*tools/train\.py CONFIG --work-dir {run} --resume"
    with pytest.raises(WorkDirError, match=remedy):
        find_run_config(run)


def test_run_of_several_processes_continues_in_one(run, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    loader = dict(batch_size=2, dataset=dict(type="UnlabeledImageFolder"))
    settings = dict(model=dict(type="MixMAE"), train_dataloader=loader, launcher="pytorch")
    settings |= dict(auto_scale_lr=dict(base_batch_size=64, enable=True), work_dir="elsewhere")
    Config(settings).dump(run / "run.py")
    cfg = prepare_config(train_arguments(find_run_config(run), run, resume=True))
    assert (cfg.launcher, cfg.work_dir, cfg.resume) == ("none", str(run), True)
    assert cfg.auto_scale_lr.enable
