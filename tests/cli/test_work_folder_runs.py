"""Configs of runs in work folders."""

import pytest
from mmengine.config import Config

from mim_plugins.cli.own_runs import WRITTEN_BY
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


def test_config_of_a_command_is_beside_the_folder(run):
    beside = run.with_name("run.py")
    dump(run / "other.py")
    beside.write_text(f"# MixMAE on own images, {WRITTEN_BY} pretrain.\n_base_ = 'x.py'\n")
    assert find_run_config(run) == beside


def test_several_configs_are_ambiguous(run):
    for name in "ab":
        dump(run / f"{name}.py")
    with pytest.raises(WorkDirError, match=r"contains 2; give it with tools/train\.py CONFIG"):
        find_run_config(run)
