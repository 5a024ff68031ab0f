import argparse

import pytest
from mmengine.config import Config

from mim_plugins.cli import run_config
from mim_plugins.cli.run_arguments import add_run_arguments
from mim_plugins.errors import ConfigError


def build_parser():
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    return parser


@pytest.fixture
def cfg():
    return Config(
        dict(
            train_dataloader=dict(
                dataset=dict(type="RepeatDataset", dataset=dict(type="A", data_root="a"))
            ),
            val_dataloader=dict(dataset=dict(type="B", data_root="b")),
            test_dataloader=None,
            optim_wrapper=dict(type="AmpOptimWrapper", dtype="bfloat16", loss_scale="dynamic"),
            train_cfg=dict(max_epochs=100),
            param_scheduler=[
                dict(type="LinearLR", begin=0, end=5, by_epoch=True),
                dict(type="CosineAnnealingLR", begin=5, by_epoch=True),
            ],
        )
    )


def test_short_epoch_run_keeps_only_the_warm_up(cfg):
    assert run_config.trim_schedule(cfg) is None
    assert len(cfg.param_scheduler) == 2
    cfg.train_cfg.max_epochs = 5
    assert "warm-up" in run_config.trim_schedule(cfg)
    assert [s.type for s in cfg.param_scheduler] == ["LinearLR"]


def test_short_iteration_run_keeps_only_the_warm_up():
    cfg = Config(
        dict(
            train_cfg=dict(type="IterBasedTrainLoop", max_iters=20),
            param_scheduler=[
                dict(type="LinearLR", begin=0, end=20, by_epoch=False),
                dict(type="PolyLR", begin=20, by_epoch=False),
            ],
        )
    )
    assert (
        run_config.trim_schedule(cfg)
        == "the run ends after 20 iterations, within the recipe's warm-up"
    )
    assert [s.type for s in cfg.param_scheduler] == ["LinearLR"]


@pytest.mark.parametrize(
    ("arguments", "in_config", "expected"),
    [(["--work-dir", "x"], "y", "x"), ([], "y", "y"), ([], None, "work_dirs/recipe")],
)
def test_work_dir_comes_from_option_config_or_config_name(tmp_path, arguments, in_config, expected):
    (tmp_path / "recipe.py").write_text(f"work_dir = {in_config!r}\n")
    args = build_parser().parse_args([str(tmp_path / "recipe.py"), *arguments])
    assert run_config.read_config(args).work_dir == expected


@pytest.mark.parametrize("name", ["work_dir", "load_from"])
def test_paths_of_a_config_are_texts_in_the_home_folder(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", "/home/me")
    file = tmp_path / "recipe.py"
    args = build_parser().parse_args([str(file)])
    file.write_text(f"{name} = '~/runs of me'\n")
    assert run_config.read_config(args)[name] == "/home/me/runs of me"
    for value in (20241130, ["runs"], False):
        file.write_text(f"{name} = {value!r}\n")
        with pytest.raises(ConfigError, match=rf"{name}=.* must be a path"):
            run_config.read_config(args)


def test_options_override_the_config_and_the_data_root(tmp_path):
    file = tmp_path / "recipe.py"
    file.write_text(
        "work_dir = 'a'\ntrain_dataloader = dict(dataset=dict(type='A', data_root='a'))\n"
    )
    args = build_parser().parse_args([str(file), "--cfg-options", "work_dir=c", "data_root=b"])
    cfg = run_config.read_config(args)
    assert cfg.work_dir == "c"
    assert cfg.train_dataloader.dataset.data_root == "b"
    assert "data_root" not in cfg


def test_launcher_option_without_that_launcher_is_rejected(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    parser = build_parser()
    arguments = ["mixmae/swin_b_600e", "--launcher", "pytorch"]
    with pytest.raises(ConfigError, match=r"WORLD_SIZE is not set.*tools/dist_train\.sh"):
        run_config.read_config(parser.parse_args(arguments))

    monkeypatch.setenv("WORLD_SIZE", "1")
    cfg = run_config.read_config(parser.parse_args(arguments))
    assert (cfg.launcher, cfg.work_dir) == ("pytorch", "work_dirs/swin_b_600e")


def read(file, *options):
    return run_config.read_config(build_parser().parse_args([str(file), *options]))


@pytest.mark.parametrize(
    "text",
    [
        "default_hooks = dict(checkpoint=dict(type='CheckpointHook', intervall=1))",
        "default_hooks = dict(logger=dict(type='LoggerHook', intervall=1))",
        "custom_hooks = [dict(type='mim_plugins.KNNHook', intervall=1)]",
        "from mmengine.hooks import CheckpointHook\n"
        "default_hooks = dict(checkpoint=dict(type=CheckpointHook, intervall=1))",
    ],
)
def test_unknown_hook_argument_is_reported_at_the_start(tmp_path, text):
    (tmp_path / "recipe.py").write_text(f"{text}\n")
    with pytest.raises(ConfigError, match=r"no 'intervall'; did you mean .*\.interval\?.*recipe"):
        read(tmp_path / "recipe.py")


def test_hooks_with_valid_arguments_pass(tmp_path):
    (tmp_path / "recipe.py").write_text(
        "default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1), timer=None)\n"
        "custom_hooks = [dict(type='EMAHook', momentum=0.1, priority='LOW')]\n"
    )
    assert read(tmp_path / "recipe.py").default_hooks.checkpoint.interval == 1


def test_launcher_is_rejected_as_a_config_option(tmp_path):
    (tmp_path / "recipe.py").write_text("launcher = 'none'\n")
    with pytest.raises(ConfigError, match="use --launcher"):
        read(tmp_path / "recipe.py", "--cfg-options", "launcher=pytorch")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (dict(train_cfg=dict(max_epochs="3")), "train_cfg.max_epochs='3'"),
        (dict(train_cfg=dict(max_epochs=[3])), r"train_cfg.max_epochs=\[3\]"),
        (dict(train_cfg=dict(max_iters=2.5)), "train_cfg.max_iters=2.5"),
        (dict(param_scheduler=[dict(type="PolyLR", begin="1")]), r"scheduler\[0\].begin='1'"),
        (dict(param_scheduler=[dict(type="PolyLR", begin=None)]), r"scheduler\[0\].begin=None"),
    ],
)
def test_length_that_is_no_number_is_one_line(changed, named):
    with pytest.raises(ConfigError, match=f"{named} is not a whole number"):
        run_config.trim_schedule(Config(dict(train_cfg=dict(max_epochs=3)) | changed))


def test_schedulers_that_a_python_config_has_built_are_kept():
    cfg = Config(dict(train_cfg=dict(max_epochs=3), param_scheduler=[object()]))
    assert run_config.trim_schedule(cfg) is None
    assert len(cfg.param_scheduler) == 1
