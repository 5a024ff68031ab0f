"""FSDP2 in gloo processes against DDP."""

import copy
from pathlib import Path

import pytest
import torch
from image_folders import write_images
from mmengine.runner import Runner
from mrmae_fakes import HIDDEN_TARGET
from sharded_runs import SHARDED, WithBlocks, toy
from tiny_run import MIXMAE, MRMAE, Interrupt, ToyModel, tiny_config, toy_runner
from torch.distributed.tensor import DTensor
from two_processes import DISTRIBUTED, in_processes, in_two_processes

from mim_plugins.checkpoints import find_corruption
from mim_plugins.engine.hooks.preemption_hook import checkpoint_hook
from mim_plugins.engine.sharding import FullyShardedModel
from mim_plugins.errors import ConfigError, NonFiniteLossError

WITH_TEACHER = MRMAE | dict(mimics=dict(teacher=dict(target_generator=HIDDEN_TARGET)))
MODELS = dict(mixmae=MIXMAE, mrmae=WITH_TEACHER)
ITERATIONS = 4


@pytest.fixture
def folder(tmp_path):
    write_images(tmp_path / "images", 16)
    return tmp_path


def build(folder, name, model, wrapper, wrapped=None, interval=100, with_cp=True, **changes):
    cfg = tiny_config(folder, name, model=MODELS[model], by_epoch=False)
    if model == "mixmae":
        cfg.model.backbone.with_cp = with_cp  # as in the recipe of Swin-H
    cfg.train_dataloader.batch_size = 2
    cfg.launcher = "pytorch"
    cfg.train_cfg.max_iters = ITERATIONS
    cfg.default_hooks.checkpoint.interval = interval
    cfg.model_wrapper_cfg = dict(wrapper)
    cfg.optim_wrapper = dict(
        type="OptimWrapper",
        optimizer=dict(type="AdamW", lr=1e-2, weight_decay=0.05, fused=True),
        clip_grad=dict(max_norm=0.1),
        accumulative_counts=2,
        constructor="mim_plugins.LayerDecayOptimWrapperConstructor",
        paramwise_cfg=dict(layer_decay_rate=0.7),
    )
    cfg.optim_wrapper.update(wrapped or {})
    cfg.merge_from_dict(changes)
    return Runner.from_cfg(cfg)


def train_both(rank, folder, count):
    norms = []
    for model in MODELS:
        for name, wrapper in (("ddp", DISTRIBUTED["model_wrapper_cfg"]), ("fsdp", SHARDED)):
            runner = build(folder, f"{model}_{name}_{count}", model, wrapper)
            runner.train()
            norms.append(runner.message_hub.get_scalar("train/grad_norm").current())
            shards = [isinstance(each, DTensor) for each in runner.model.parameters()]
            assert all(shards) if name == "fsdp" else not any(shards)
    return norms


def saved(folder, name, iteration):
    with (folder / name / f"iter_{iteration}.pth").open("rb") as file:
        assert find_corruption(file) is None
    return torch.load(file.name, weights_only=False)


def assert_equal(first, second, tolerance):
    assert list(first["state_dict"]) == list(second["state_dict"])
    for name, weight in first["state_dict"].items():
        assert type(second["state_dict"][name]) is torch.Tensor
        torch.testing.assert_close(second["state_dict"][name], weight, rtol=0, atol=tolerance)
    assert first["optimizer"]["param_groups"] == second["optimizer"]["param_groups"]
    assert list(first["optimizer"]["state"]) == list(second["optimizer"]["state"])
    for number, entries in first["optimizer"]["state"].items():
        for name, value in entries.items():
            other = second["optimizer"]["state"][number][name]
            torch.testing.assert_close(other, value, rtol=0, atol=tolerance)
    for key in ("model_settings", "optimizer_type", "updates"):
        assert first["meta"][key] == second["meta"][key]


@pytest.mark.parametrize("count", [2, 4])
def test_training_equals_that_of_ddp(folder, count):
    """Clipping, accumulation and layer-wise rates are those of the complete model."""
    codes, norms = in_processes(count, train_both, folder, count)
    assert codes == [0] * count
    for ddp, fsdp in zip(norms[0][::2], norms[0][1::2], strict=True):
        assert fsdp == pytest.approx(ddp, rel=1e-4)
    for model in MODELS:
        pair = [saved(folder, f"{model}_{name}_{count}", ITERATIONS) for name in ("ddp", "fsdp")]
        assert_equal(*pair, tolerance=1e-5)


def train_in_pieces(rank, folder):
    best = dict(save_best="acc", rule="greater")
    changes = {f"default_hooks.checkpoint.{name}": value for name, value in best.items()}
    runner = build(folder, "whole", "mixmae", SHARDED, interval=2, **changes)
    runner.train()
    checkpoint_hook(runner, "").after_val_epoch(runner, dict(acc=0.5))
    checkpoint_hook(runner, "").finish_saving()
    for resume in (False, True):
        runner = build(folder, "pieces", "mixmae", SHARDED, interval=2, resume=resume)
        if not resume:
            runner.register_hook(Interrupt(3), priority="LOWEST")
        try:
            runner.train()
        except KeyboardInterrupt:
            assert not resume


def resume_elsewhere(rank, folder, wrapper, name):
    """Resume after the last iteration and save what was loaded."""
    runner = build(folder, "whole", "mixmae", wrapper, resume=True)
    runner.train()
    checkpoint_hook(runner, "").save_iteration(runner, name, "")
    assert checkpoint_hook(runner, "").finish_saving()


def test_run_resumes_exactly_and_on_any_number_of_processes(folder):
    codes, _ = in_two_processes(train_in_pieces, folder)
    assert codes == [0, 0]
    whole = saved(folder, "whole", ITERATIONS)
    assert_equal(whole, saved(folder, "pieces", ITERATIONS), tolerance=0)
    (best,) = (folder / "whole").glob("best_*.pth")
    weights = torch.load(best, weights_only=False)["state_dict"]
    best.unlink()
    for name, weight in whole["state_dict"].items():
        assert torch.equal(weights[name], weight)
    for count, wrapper in ((3, SHARDED), (1, DISTRIBUTED["model_wrapper_cfg"])):
        codes, _ = in_processes(count, resume_elsewhere, folder, wrapper, f"again_{count}.pth")
        assert codes == [0] * count
        again = torch.load(folder / "whole" / f"again_{count}.pth", weights_only=False)
        assert_equal(whole, again, tolerance=0)


@pytest.mark.usefixtures("_one_process")
def test_weights_of_blocks_are_rounded_for_bfloat16(folder):
    wrapped = dict(type="AutocastWrapper")
    found = []
    for name, dtype in (("full", "float32"), ("half", "bfloat16")):
        runner = build(
            folder, name, "mixmae", SHARDED | dict(param_dtype=dtype), wrapped, with_cp=False
        )
        runner.train()
        found.append(saved(folder, name, ITERATIONS)["state_dict"])
    assert {weight.dtype for weight in found[1].values() if weight.is_floating_point()} == {
        torch.float32
    }
    differences = [(found[0][name] - found[1][name]).abs().max() for name in found[0]]
    assert 0 < max(differences) < 0.05


@pytest.mark.usefixtures("_one_process")
def test_compiled_blocks_give_the_same_losses(folder):
    weights = []
    for compiled in (False, True):
        runner = build(folder, f"compiled_{compiled}", "mixmae", SHARDED)
        if compiled:
            runner.model.module.compile(backend="eager", scope="blocks")
        runner.train()
        weights.append(saved(folder, f"compiled_{compiled}", ITERATIONS)["state_dict"])
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=0, atol=1e-3)


@pytest.mark.usefixtures("_one_process")
def test_bfloat16_blocks_reject_gradient_checkpointing(folder):
    half = SHARDED | dict(param_dtype="bfloat16")
    with pytest.raises(ConfigError, match=r"does not support gradient checkpointing: set model"):
        build(folder, "half", "mixmae", half, dict(type="AutocastWrapper")).train()


class WithRepeatedBlock(WithBlocks):
    """Model that uses its only block twice."""

    def __init__(self):
        super().__init__()
        self.blocks[1] = self.blocks[0]


@pytest.mark.usefixtures("_one_process")
def test_files_do_not_share_memory_with_the_shards(tmp_path):
    """With one process, PyTorch's complete tensor is the shard itself."""
    expected = toy(tmp_path / "short", iterations=1)
    expected.train()
    toy(tmp_path / "run", iterations=3, checkpoint=dict(max_keep_ckpts=3)).train()
    pair = [
        torch.load(tmp_path / name / "iter_1.pth", weights_only=False)["state_dict"]
        for name in ("short", "run")
    ]
    assert all(torch.equal(pair[0][name], pair[1][name]) for name in pair[0])


@pytest.mark.usefixtures("_one_process")
def test_non_finite_shards_are_not_saved(tmp_path):
    class Spoil(Interrupt):
        priority = "VERY_HIGH"

        def after_train_iter(self, runner, *args, **kwargs):
            runner.model.module.blocks[0].weight.data.mul_(float("nan"))

    with pytest.raises(NonFiniteLossError, match="the first is blocks"):
        toy(tmp_path, hooks=[dict(type="mim_plugins.LossGuardHook"), Spoil(1)]).train()
    assert not list(tmp_path.glob("*.pth"))


@pytest.mark.usefixtures("_one_process")
def test_a_repeated_block_is_one_unit(tmp_path):
    sharded = toy(tmp_path, model=WithRepeatedBlock, iterations=2)
    plain = toy_runner(tmp_path / "plain", model=WithRepeatedBlock(), iterations=2)
    with torch.no_grad():
        for own, other in zip(
            plain.model.parameters(), sharded.model.module.parameters(), strict=True
        ):
            own.copy_(other.full_tensor())
    for runner in (sharded, plain):
        runner.train()
    for own, other in zip(plain.model.parameters(), sharded.model.module.parameters(), strict=True):
        torch.testing.assert_close(other.full_tensor(), own)


@pytest.mark.usefixtures("_one_process")
def test_model_without_blocks_is_one_unit(tmp_path, caplog):
    runner = toy_runner(tmp_path, launcher="pytorch", iterations=2, model_wrapper_cfg=dict(SHARDED))
    runner.train()
    assert isinstance(runner.model, FullyShardedModel)
    plain = toy_runner(tmp_path / "plain", iterations=2)
    plain.train()
    assert torch.equal(runner.model.module.weight.full_tensor(), plain.model.weight)


def test_single_process_without_launcher_is_not_sharded(tmp_path):
    runner = toy_runner(tmp_path, iterations=1, model_wrapper_cfg=copy.deepcopy(SHARDED))
    runner.train()
    assert type(runner.model) is ToyModel
    assert Path(tmp_path, "iter_1.pth").is_file()
