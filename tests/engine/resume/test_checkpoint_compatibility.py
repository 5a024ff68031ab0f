import pytest
import torch
from image_folders import write_images
from mmengine.runner import Runner
from optimizer_runs import TwoLayers, checkpoint_of, run
from tiny_run import BACKBONE, MIXMAE, ToyModel, tiny_config, toy_runner
from torch import nn

from mim_plugins.cli import ConsoleRunner
from mim_plugins.engine.resume.checkpoint_compatibility import (
    add_compatibility_meta,
    check_compatible,
)
from mim_plugins.errors import CheckpointError


def test_numbers_of_heads_are_compared():
    def attention(heads):
        model = ToyModel()
        model.attention = nn.MultiheadAttention(8, heads)
        return run(model)

    content = checkpoint_of(attention(2))
    check_compatible(attention(2), content, "x")
    message = "attention.num_heads is 2 in the file, 4 in the model"
    with pytest.raises(CheckpointError, match=message):
        check_compatible(attention(4), content, "x")


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("kind", ["AdamW", "SGD", "Adam", "RMSprop", "Adagrad", "Adamax"])
def test_run_resumes_from_its_own_checkpoint(kind, noted):
    check_compatible(run(kind=kind), checkpoint_of(run(kind=kind), noted), "x")
    content = checkpoint_of(run(kind=kind), noted)
    for switch in ("foreach", "maximize", "fused", "decoupled_weight_decay"):
        content["optimizer"]["param_groups"][0].pop(switch, None)  # like a file of an older PyTorch
    check_compatible(run(kind=kind), content, "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(model=TwoLayers(3)), "second.weight 2x2 in the file, 2x3 in the model"),
        (dict(model=ToyModel()), "2 unknown to the model: second.bias, second.weight"),
        (dict(model=TwoLayers(dtype=torch.float64)), "second.weight torch.float32 in the file"),
    ],
)
def test_other_model_is_reported_before_its_optimizer(changes, message):
    with pytest.raises(CheckpointError, match=f"'x' belongs to a different model than .*{message}"):
        check_compatible(run(kind="SGD", **changes), checkpoint_of(run()), "x")


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (("SGD", "AdamW"), r"SGD in the file, AdamW|its settings \(dampening"),
        (("AdamW", "SGD"), r"AdamW in the file, SGD|its settings \(amsgrad"),
        (("RMSprop", "Adagrad"), r"RMSprop in the file, Adagrad|its settings \(alpha"),
    ],
)
def test_different_optimizer_is_reported(kinds, message, noted):
    saved, own = (run(kind=kind) for kind in kinds)
    with pytest.raises(
        CheckpointError, match=f"'x' belongs to a different optimizer than .*({message})"
    ):
        check_compatible(own, checkpoint_of(saved, noted), "x")


def test_adam_and_adamw_differ_if_the_type_is_stored():
    with pytest.raises(CheckpointError, match="Adam in the file, AdamW in the config"):
        check_compatible(run(), checkpoint_of(run(kind="Adam")), "x")


def without_exp_avg(content):
    del content["optimizer"]["state"][1]["exp_avg"]


def of_another_shape(content):
    state = content["optimizer"]["state"]
    state[0]["exp_avg"], state[1]["exp_avg"] = state[1]["exp_avg"], state[0]["exp_avg"]


def setting(key, value):
    return lambda content: content["optimizer"]["param_groups"][0].update({key: value})


def with_number_twice(content):
    content["optimizer"]["param_groups"][0]["params"] = [0, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_exp_avg, "exp_avg of parameter 1 is missing"),
        (of_another_shape, r"exp_avg of parameter 0 has shape \(2, 2\) in the file"),
        (setting("amsgrad", True), "amsgrad is True in the file, False in the config"),
        (with_number_twice, "a parameter is in two groups"),
    ],
)
def test_incompatible_optimizer_state_is_reported(change, message):
    content = checkpoint_of(run())
    change(content)
    with pytest.raises(CheckpointError, match=message):
        check_compatible(run(), content, "x")


@pytest.mark.parametrize("groups", [(1, 2), (2, 1)])
def test_different_number_of_groups_is_reported(groups):
    saved, own = (run(groups=number) for number in groups)
    message = f"{groups[0]} groups of parameters in the file, {groups[1]} in the config"
    with pytest.raises(CheckpointError, match=message):
        check_compatible(own, checkpoint_of(saved), "x")


def test_weights_alone_cannot_be_resumed():
    with pytest.raises(CheckpointError, match=r"'x' contains weights alone.*load_from=x"):
        check_compatible(run(), None, "x")


def backbone(**changes):
    return MIXMAE | dict(backbone=BACKBONE | changes)


@pytest.mark.parametrize(
    ("model", "by_file"),
    [
        (backbone(arch=dict(embed_dims=16, depths=(1, 1), num_heads=(1, 2))), True),
        (backbone(arch=dict(embed_dims=8, depths=(1, 1), num_heads=(2, 4))), True),
        (backbone(arch=dict(embed_dims=8, depths=(1, 2), num_heads=(1, 2))), False),
        (backbone(window_size=2), False),
        (MIXMAE | dict(decoder=MIXMAE["decoder"] | dict(embed_dims=32)), False),
    ],
    ids=["width", "heads", "depth", "window", "decoder"],
)
def test_resuming_another_model_fails_before_training(tmp_path, pretrained_run, model, by_file):
    cfg = tiny_config(pretrained_run, "run", model=model)
    cfg.work_dir = str(tmp_path)
    file = pretrained_run / "run/iter_1.pth"
    before = file.read_bytes()
    (tmp_path / "iter_1.pth").write_bytes(before)
    cfg.resume, cfg.load_from = True, str(file) if by_file else None
    with pytest.raises(
        CheckpointError, match=r"iter_1\.pth' belongs to a different model.*in the file"
    ):
        ConsoleRunner.from_cfg(cfg).train()
    assert (tmp_path / "iter_1.pth").read_bytes() == before


@pytest.fixture(scope="module")
def pretrained_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretraining")
    write_images(folder / "images", 4)
    cfg = tiny_config(folder, "run", by_epoch=False)
    cfg.train_cfg.max_iters = 1
    Runner.from_cfg(cfg).train()
    return folder


@pytest.mark.parametrize("runner", [Runner, ConsoleRunner])
def test_averaged_weights_of_another_model_are_reported(tmp_path, runner):
    hooks = [dict(type="EMAHook")]
    toy_runner(tmp_path, model=TwoLayers(), iterations=1, hooks=hooks).train()
    with pytest.raises(CheckpointError, match="a different model"):
        toy_runner(
            tmp_path, model=TwoLayers(3), iterations=2, hooks=hooks, runner=runner, resume=True
        ).train()
    toy_runner(
        tmp_path, model=TwoLayers(), iterations=2, hooks=hooks, runner=runner, resume=True
    ).train()


@pytest.mark.parametrize("kind", ["AdamW", "Adagrad", "Adamax"])
@pytest.mark.parametrize("step", [0.0, 3.0, 1000.0])
def test_changed_number_of_updates_is_rejected(kind, step):
    content = checkpoint_of(run(kind=kind))
    for entries in content["optimizer"]["state"].values():
        entries["step"] = torch.tensor(step)
    with pytest.raises(CheckpointError, match="step is"):
        check_compatible(run(kind=kind), content, "x")


@pytest.mark.parametrize("name", ["initial_weight_decay", "decay_mult", "lr_mult", "max_lr"])
def test_entry_that_a_scheduler_or_multiplier_adds_may_be_new(name):
    content, resumed = checkpoint_of(run()), run()
    resumed.optim_wrapper.optimizer.param_groups[0][name] = 0.5
    check_compatible(resumed, content, "x")


@pytest.mark.parametrize("kind", ["AdamW", "SGD"])
def test_file_without_any_update_needs_no_state(kind):
    first = run(kind=kind)
    content = dict(
        meta=dict(iter=5),
        state_dict=first.model.state_dict(),
        optimizer=first.optim_wrapper.state_dict(),
    )
    add_compatibility_meta(first, content)
    check_compatible(run(kind=kind), content, "x")
    content["meta"]["updates"] = 5
    with pytest.raises(CheckpointError, match="a different optimizer"):
        check_compatible(run(kind=kind), content, "x")


HOOKS = (
    "DeferredScalarsHook", "LossGuardHook", "PreemptionHook", "ProgressHook", "RunSummaryHook",
    "StallWatchdogHook", "StatusHook", "ThroughputHook", "TimedCheckpointHook",
)  # fmt: skip


def test_weights_are_saved_before_the_training(tmp_path):
    """The optimizer is not built yet; MMEngine saves the weights in this case."""
    runner = toy_runner(tmp_path, hooks=[dict(type=f"mim_plugins.{name}") for name in HOOKS])
    settings = dict(save_optimizer=False, save_param_scheduler=False)
    runner.save_checkpoint(str(tmp_path), "before.pth", **settings)
    saved = torch.load(tmp_path / "before.pth", weights_only=False)
    assert torch.equal(saved["state_dict"]["weight"], runner.model.weight)
    assert "optimizer_type" not in saved["meta"]
    runner.train()
    runner.save_checkpoint(str(tmp_path), "after.pth", **settings)
    saved = torch.load(tmp_path / "after.pth", weights_only=False)
    assert saved["meta"]["optimizer_type"] == "SGD"
