import copy

import pytest
import torch
from image_folders import write_images
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from tiny_run import BACKBONE, MIXMAE, ToyModel, tiny_config, toy_runner
from torch import nn

from mim_plugins.cli import ConsoleRunner
from mim_plugins.engine.resume.checkpoint_compatibility import (
    add_compatibility_meta,
    check_compatible,
)
from mim_plugins.errors import CheckpointError


class TwoLayers(ToyModel):
    def __init__(self, width=2, dtype=torch.float32):
        super().__init__()
        self.second = nn.Linear(width, 2, dtype=dtype)


def optimizer_of(kind, model, groups=1, **settings):
    parameters = list(model.parameters())
    if groups == 2:
        parameters = [dict(params=parameters[:1]), dict(params=parameters[1:])]
    return OptimWrapper(getattr(torch.optim, kind)(parameters, lr=0.1, **settings))


class Run:
    """Stub with the required attributes of a runner."""

    param_schedulers = None

    def __init__(self, model, wrapper):
        self.model, self.optim_wrapper = model, wrapper


def run(model=None, kind="AdamW", **settings):
    model = model or TwoLayers()
    return Run(model, optimizer_of(kind, model, **settings))


def checkpoint_of(run, noted=True):
    for parameter in run.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    run.optim_wrapper.step()
    content = dict(
        meta={}, state_dict=run.model.state_dict(), optimizer=run.optim_wrapper.state_dict()
    )
    if noted:
        add_compatibility_meta(run, content)
    return copy.deepcopy(content)


def test_numbers_of_heads_are_compared():
    def attention(heads):
        model = ToyModel()
        model.attention = nn.MultiheadAttention(8, heads)
        return run(model)

    content = checkpoint_of(attention(2))
    check_compatible(attention(2), content, "x")
    with pytest.raises(CheckpointError, match="attention has 2 heads in the file, 4 in the model"):
        check_compatible(attention(4), content, "x")
    del content["meta"]["num_heads"]  # like a file of an earlier version
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
        (setting("betas", (0.9,)), "betas is tuple in the file"),
        (setting("betas", (0.9, 1.5)), "Invalid beta"),
        (setting("betas", ("0.9", 0.95)), "betas is tuple"),
        (setting("eps", "small"), "eps is str"),
        (setting("amsgrad", 1), "amsgrad is int 1"),
        (setting("weight_decay", None), "weight_decay is None"),
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


def of_two(first, second):
    model = TwoLayers()
    parts = (model.second, nn.ParameterList([model.weight]))
    wrappers = (optimizer_of(kind, part) for kind, part in zip((first, second), parts, strict=True))
    return Run(model, OptimWrapperDict(**dict(zip("ab", wrappers, strict=True))))


def test_multiple_optimizers_are_compared_by_name():
    def saved(run):
        content = dict(state_dict=run.model.state_dict(), meta={})
        add_compatibility_meta(run, content)
        return content | dict(optimizer=run.optim_wrapper.state_dict())

    check_compatible(of_two("AdamW", "SGD"), saved(of_two("AdamW", "SGD")), "x")
    with pytest.raises(CheckpointError, match="b: AdamW in the file, SGD in the config"):
        check_compatible(of_two("AdamW", "SGD"), saved(of_two("AdamW", "AdamW")), "x")
    with pytest.raises(CheckpointError, match="optimizers one in the file, a, b in the config"):
        check_compatible(of_two("AdamW", "SGD"), checkpoint_of(run()), "x")
    with pytest.raises(CheckpointError, match=r"several optimizers \(a, b\) in the file, one"):
        check_compatible(run(), saved(of_two("AdamW", "SGD")), "x")


def late_start(first="AdamW", second="AdamW", own_meta=True):
    """Return a checkpoint of two optimizers, the second of which has not made an update."""
    started = of_two(first, second)
    for parameter in started.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    started.optim_wrapper["a"].step()
    content = dict(
        meta=dict(iter=500),
        state_dict=started.model.state_dict(),
        optimizer=started.optim_wrapper.state_dict(),
    )
    if own_meta:
        add_compatibility_meta(started, content)
    return copy.deepcopy(content)


@pytest.mark.parametrize("own_meta", [True, False])
@pytest.mark.parametrize("second", ["AdamW", "SGD"])
def test_optimizer_that_starts_late_needs_no_state(second, own_meta):
    check_compatible(of_two("AdamW", second), late_start("AdamW", second, own_meta), "x")


def test_updates_of_each_optimizer_are_compared():
    content = late_start()
    assert content["meta"]["updates"] == dict(a=1, b=0)
    content["optimizer"]["a"]["state"] = {}
    with pytest.raises(CheckpointError, match=r"a: .*exp_avg.* of all parameters are missing"):
        check_compatible(of_two("AdamW", "AdamW"), content, "x")
    content = late_start()
    content["meta"]["updates"]["a"] = 3
    with pytest.raises(CheckpointError, match="a: its step is 1, but its run has made 3 updates"):
        check_compatible(of_two("AdamW", "AdamW"), content, "x")


@pytest.mark.parametrize("updates", [None, 7])
def test_lost_state_of_all_optimizers_is_reported(updates):
    """Files of MMEngine's hook have no number of updates, those of earlier versions only one."""
    content = late_start(own_meta=False)
    content["meta"]["updates"] = updates
    content["optimizer"]["a"]["state"] = {}
    with pytest.raises(CheckpointError, match=r"a: .* are missing in the file; b: .* missing"):
        check_compatible(of_two("AdamW", "AdamW"), content, "x")


class StartsLate(TwoLayers):
    """Model whose second optimizer begins in the third iteration."""

    def __init__(self):
        super().__init__()
        self.iterations = 0

    def train_step(self, data, optim_wrapper):
        inputs = torch.stack(list(self.data_preprocessor(data, True)["inputs"])).float()
        for name, weight in (("a", self.second.weight), ("b", self.weight)):
            if name == "a" or self.iterations >= 2:
                optim_wrapper[name].update_params((weight - inputs.mean()).square().sum())
        self.iterations += 1
        return dict(loss=self.weight.sum())


def test_run_with_an_optimizer_that_starts_late_resumes_exactly(tmp_path):
    def train(folder, iterations, done=0):
        runner = toy_runner(tmp_path / folder, StartsLate(), iterations, resume=done > 0)
        runner.model.iterations = done
        torch.nn.init.ones_(runner.model.second.weight)
        runner.optim_wrapper = OptimWrapperDict(
            a=OptimWrapper(torch.optim.AdamW(runner.model.second.parameters(), lr=0.1)),
            b=OptimWrapper(torch.optim.AdamW([runner.model.weight], lr=0.1)),
        )
        runner.train()
        return [runner.model.weight.tolist(), runner.model.second.weight.tolist()]

    train("parts", 2)
    assert train("parts", 5, done=2) == train("whole", 5)


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
    saved = torch.load(tmp_path / "before.pth", weights_only=True)
    assert torch.equal(saved["state_dict"]["weight"], runner.model.weight)
    assert "optimizer_type" not in saved["meta"]
    runner.train()
    runner.save_checkpoint(str(tmp_path), "after.pth", **settings)
    saved = torch.load(tmp_path / "after.pth", weights_only=True)
    assert saved["meta"]["optimizer_type"] == "SGD"
