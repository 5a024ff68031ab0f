from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch.utils.data import DataLoader

from mim_plugins.apis import ConfigError
from mim_plugins.datasets import DataNotFoundError
from mim_plugins.engine import run_config


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


def test_without_gpu_mixed_precision_becomes_float32(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "float32" in run_config.fit_precision(cfg)
    assert cfg.optim_wrapper == dict(type="OptimWrapper")


def test_without_bfloat16_mixed_precision_becomes_float16(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation
    )
    assert "float16" in run_config.fit_precision(cfg)
    assert cfg.optim_wrapper.dtype == "float16"


def test_with_bfloat16_mixed_precision_stays(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert run_config.fit_precision(cfg) is None
    assert cfg.optim_wrapper.dtype == "bfloat16"


def test_schedule_of_a_full_run_stays(cfg):
    assert run_config.fit_schedule(cfg) is None
    assert len(cfg.param_scheduler) == 2


def test_run_within_the_warm_up_keeps_only_the_warm_up(cfg):
    cfg.train_cfg.max_epochs = 5
    assert "warm-up" in run_config.fit_schedule(cfg)
    assert [s.type for s in cfg.param_scheduler] == ["LinearLR"]


def test_run_in_iterations_within_the_warm_up_keeps_only_the_warm_up():
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
        run_config.fit_schedule(cfg)
        == "the run ends after 20 iterations, within the recipe's warm-up"
    )
    assert [s.type for s in cfg.param_scheduler] == ["LinearLR"]


@pytest.mark.parametrize(
    ("arguments", "in_config", "expected"),
    [(["--work-dir", "x"], "y", "x"), ([], "y", "y"), ([], None, "work_dirs/recipe")],
)
def test_work_dir_is_the_given_or_the_configs_or_named_after_it(
    tmp_path, arguments, in_config, expected
):
    (tmp_path / "recipe.py").write_text(f"work_dir = {in_config!r}\n")
    args = run_config.command_line(None).parse_args([str(tmp_path / "recipe.py"), *arguments])
    assert run_config.read_config(args).work_dir == expected


def test_options_override_the_config_and_name_the_data(tmp_path):
    file = tmp_path / "recipe.py"
    file.write_text("lr = 1\ntrain_dataloader = dict(dataset=dict(type='A', data_root='a'))\n")
    args = run_config.command_line(None).parse_args(
        [str(file), "--cfg-options", "lr=2", "data_root=b"]
    )
    cfg = run_config.read_config(args)
    assert cfg.lr == 2
    assert cfg.train_dataloader.dataset.data_root == "b"
    assert "data_root" not in cfg


@pytest.mark.parametrize(("images", "refused"), [(3, True), (4, False)])
def test_set_smaller_than_one_batch_is_refused(images, refused):
    loader = DataLoader(list(range(images)), batch_size=4, drop_last=True)
    model = SimpleNamespace(data_preprocessor=None)
    runner = SimpleNamespace(train_dataloader=loader, model=model)
    expected = pytest.raises(DataNotFoundError, match=r"3 images.*batch of 4.*batch_size")
    with expected if refused else nullcontext():
        run_config.require_steps(runner)


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
    text = run_config.use_resumable_parts(cfg)
    assert cfg.train_cfg.type == expected
    assert "by_epoch" not in cfg.train_cfg
    assert cfg.default_hooks.checkpoint == dict(type="mim_plugins.AtomicCheckpointHook", interval=3)
    assert "AtomicCheckpointHook" in text
    assert run_config.use_resumable_parts(cfg) is None


def test_a_launcher_that_did_not_start_the_process_is_refused(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    parser = run_config.command_line(None)
    arguments = ["mixmae/swin_b_600e", "--launcher", "pytorch"]
    with pytest.raises(ConfigError, match=r"WORLD_SIZE is not set.*tools/dist_train\.sh"):
        run_config.read_config(parser.parse_args(arguments))

    monkeypatch.setenv("WORLD_SIZE", "1")
    cfg = run_config.read_config(parser.parse_args(arguments))
    assert (cfg.launcher, cfg.work_dir) == ("pytorch", "work_dirs/swin_b_600e")
