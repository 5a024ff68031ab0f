import pytest
import torch
from mmengine.runner import Runner
from tiny_run import toy_runner

from mim_plugins.cli import ConsoleRunner
from mim_plugins.errors import CheckpointError

AVERAGE = [dict(type="EMAHook", momentum=0.5)]


@pytest.fixture(scope="module")
def averaged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("averaged")
    toy_runner(folder, iterations=2, hooks=AVERAGE).train()
    return torch.load(folder / "iter_2.pth", weights_only=False)


def resume(folder, content, hooks=(), runner=ConsoleRunner):
    torch.save(content, folder / "iter_2.pth")
    run = toy_runner(folder, iterations=3, hooks=hooks, runner=runner, resume=True)
    run.train()
    return run.model.weight.detach()


@pytest.mark.parametrize("runner", [Runner, ConsoleRunner])
def test_run_without_ema_hook_resumes_from_trained_weights(tmp_path, averaged, runner):
    average, trained = averaged["state_dict"]["weight"], averaged["ema_state_dict"]["module.weight"]
    assert not torch.equal(average, trained)
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    expected = resume(tmp_path / "with", averaged, AVERAGE, runner)
    assert torch.equal(resume(tmp_path / "without", averaged, (), runner), expected)
    saved = torch.load(tmp_path / "without/iter_3.pth", weights_only=False)
    assert "ema_state_dict" not in saved
    assert torch.equal(saved["state_dict"]["weight"], expected)


@pytest.mark.parametrize("hooks", [(), AVERAGE], ids=["without", "with"])
@pytest.mark.parametrize("change", ["empty", "renamed", "steps alone", "no prefix"])
def test_averages_with_other_names_are_rejected(tmp_path, averaged, hooks, change):
    average = averaged["ema_state_dict"]
    other = {
        "empty": {},
        "renamed": {f"x.{name}": value for name, value in average.items()},
        "steps alone": dict(steps=average["steps"]),
        "no prefix": {name.removeprefix("module."): value for name, value in average.items()},
    }[change]
    with pytest.raises(CheckpointError, match=r"ema_state_dict: .*missing"):
        resume(tmp_path, averaged | dict(ema_state_dict=other), hooks)


def test_checkpoint_without_averages_starts_an_average(tmp_path, averaged):
    content = {key: value for key, value in averaged.items() if key != "ema_state_dict"}
    resume(tmp_path, content, AVERAGE)
    assert "ema_state_dict" in torch.load(tmp_path / "iter_3.pth", weights_only=False)
