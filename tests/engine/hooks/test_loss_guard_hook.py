import pytest
import torch
from mmengine.hooks import Hook
from tiny_run import ToyModel, toy_runner
from torch._dynamo.utils import counters
from two_processes import DISTRIBUTED, in_two_processes

from mim_plugins.engine.hooks import LossGuardHook
from mim_plugins.errors import NonFiniteLossError


def loss_that_breaks(value, at=2):
    calls = []

    def loss(weight, inputs):
        calls.append(1)
        return (weight - inputs.mean()).square().sum() * (value if len(calls) == at else 1.0)

    return loss


class Keep(Hook):
    def __init__(self, weights):
        self.weights = weights

    def after_train_iter(self, runner, *args, **kwargs):
        self.weights.append(runner.model.weight.clone())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_invalid_loss_changes_neither_weights_nor_checkpoints(tmp_path, value):
    model = ToyModel(loss_that_breaks(value))
    runner = toy_runner(tmp_path, model, hooks=[LossGuardHook()])
    good = []
    runner.register_hook(Keep(good))
    with pytest.raises(NonFiniteLossError) as stopped:
        runner.train()
    text = str(stopped.value)
    for part in ("iteration 2", "rank 0", f"loss={value:g}", "image_4.jpg", "4 in"):
        assert part in text
    assert torch.equal(model.weight, good[0])
    assert [path.name for path in tmp_path.glob("*.pth")] == ["iter_1.pth"]
    listed = (tmp_path / "non_finite_loss.txt").read_text().splitlines()
    assert listed[1:] == [f"image_{i}.jpg" for i in range(4, 8)]


def test_loss_is_reported_even_if_the_paths_cannot_be_written(tmp_path):
    (tmp_path / "non_finite_loss.txt").mkdir(parents=True)  # blocks the path of the file
    runner = toy_runner(tmp_path, ToyModel(loss_that_breaks(float("nan"))), hooks=[LossGuardHook()])
    with pytest.raises(NonFiniteLossError, match=r"loss=nan.*image_4\.jpg.*\(4\)\. The weights"):
        runner.train()


def test_invalid_loss_stops_accumulation_before_any_step(tmp_path):
    runner = toy_runner(tmp_path, ToyModel(loss_that_breaks(float("nan"), at=1)),
                        hooks=[LossGuardHook()])  # fmt: skip
    runner.optim_wrapper["accumulative_counts"] = 3
    with pytest.raises(NonFiniteLossError, match="iteration 1"):
        runner.train()
    assert not list(tmp_path.glob("*.pth"))


def test_infinite_gradients_do_not_stop_a_float16_run(tmp_path):
    """Like float16 training, whose gradient scaler skips the step."""

    def loss(weight, inputs):
        # the square root's gradient at 0 is infinite
        return (weight * 0).square().sum().sqrt() * 0 + weight.sum() * 0 + 1.0

    runner = toy_runner(tmp_path, ToyModel(loss), hooks=[LossGuardHook()], iterations=2)
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    scaler = torch.amp.GradScaler("cpu")
    wrapper.backward = lambda value: scaler.scale(value).backward()
    wrapper.step = lambda: (scaler.step(wrapper.optimizer), scaler.update())
    wrapper._inner_count = 0
    runner.optim_wrapper = wrapper
    runner.train()
    assert runner.iter == 2
    assert scaler.get_scale() < 2.0**16
    assert torch.isfinite(runner.model.weight).all()


def test_non_finite_weights_are_not_saved(tmp_path):
    def loss(weight, inputs):
        return (weight * 0).square().sum().sqrt() + 1.0

    runner = toy_runner(tmp_path, ToyModel(loss), hooks=[LossGuardHook()])
    with pytest.raises(NonFiniteLossError, match="weight"):
        runner.train()
    assert not list(tmp_path.glob("*.pth"))


def test_healthy_run_is_unchanged(tmp_path):
    plain, guarded = toy_runner(tmp_path / "a"), toy_runner(tmp_path / "b", hooks=[LossGuardHook()])
    plain.train()
    guarded.train()
    assert torch.equal(plain.model.weight, guarded.model.weight)
    assert not guarded.model._forward_hooks
    assert not guarded.optim_wrapper.optimizer._optimizer_step_pre_hooks


def compiled(loss):
    torch._dynamo.reset()
    counters.clear()
    model = ToyModel(loss)
    model.compile(backend="eager", dynamic=False)
    return model


def test_a_compiled_model_remains_one_graph(tmp_path):
    def loss(weight, inputs):
        return (weight - inputs.mean()).square().sum()

    weights = []
    for model in (ToyModel(loss), compiled(loss)):
        toy_runner(tmp_path, model, hooks=[LossGuardHook()]).train()
        weights.append(model.weight)
    assert torch.equal(*weights)
    assert counters["stats"]["unique_graphs"] == 1


def test_the_loss_of_a_compiled_model_is_checked(tmp_path):
    def loss(weight, inputs):  # images 4 to 7 are those of iteration 2
        return weight.sum() + torch.where(inputs.max() > 4, float("nan"), 0.0)

    with pytest.raises(NonFiniteLossError, match=r"iteration 2, rank 0: loss=nan.*image_4\.jpg"):
        toy_runner(tmp_path, compiled(loss), hooks=[LossGuardHook()]).train()


def train_with_one_bad_rank(rank, folder):
    loss = loss_that_breaks(float("nan") if rank == 1 else 1.0)
    runner = toy_runner(folder, ToyModel(loss), hooks=[LossGuardHook()], **DISTRIBUTED)
    try:
        runner.train()
    except NonFiniteLossError as error:
        return str(error)


def test_all_processes_stop_if_one_has_an_invalid_loss(tmp_path):
    codes, messages = in_two_processes(train_with_one_bad_rank, tmp_path)
    assert codes == [0, 0]
    assert messages[0] == messages[1]
    assert "iteration 2, rank 1: loss=nan" in messages[0]
    assert "(4 in " in messages[0]
    assert len((tmp_path / "non_finite_loss.txt").read_text().splitlines()) == 5
    assert [path.name for path in tmp_path.glob("*.pth")] == ["iter_1.pth"]
