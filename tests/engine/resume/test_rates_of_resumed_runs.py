"""Learning rates of real runs after resuming."""

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from schedule_run import whole_and_resumed
from tiny_run import ToyImages, ToyModel

from mim_plugins.cli.run_config import trim_schedule

EPOCHS, HALF = 6, 3


class Rates(Hook):
    """Hook that records the learning rate of every iteration."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.param_groups[0]["lr"])


class Stop(Hook):
    """Hook that ends the run after some epochs, when the checkpoint exists."""

    priority = "LOWEST"

    def after_train_epoch(self, runner):
        if runner.epoch + 1 == HALF:
            runner.train_loop.stop_training = True


def train(
    folder,
    *hooks,
    batch=4,
    epochs=EPOCHS,
    lr=0.1,
    loop="mim_plugins.ResumableEpochLoop",
    log=None,
    param_scheduler=None,
    **changes,
):
    """Train on 8 images; return the runner and the learning rate of every iteration."""
    rates = Rates()
    runner = Runner(
        model=ToyModel(),
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=batch, dataset=ToyImages(), sampler=dict(type="DefaultSampler", shuffle=True)
        ),
        train_cfg=dict(type=loop, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=lr)),
        param_scheduler=param_scheduler
        or [
            dict(type="LinearLR", start_factor=0.1, end=2, convert_to_iter_based=True),
            dict(type="CosineAnnealingLR", begin=2, end=epochs, convert_to_iter_based=True),
        ],
        default_hooks=dict(checkpoint=dict(type="mim_plugins.AtomicCheckpointHook", interval=1)),
        custom_hooks=[rates, *hooks],
        randomness=dict(seed=0),
        experiment_name=f"{folder.name}_{len(hooks)}_{batch}_{epochs}_{lr}_{loop}",
        log_level="WARNING",
        **changes,
    )
    if log:
        runner.logger.addHandler(log)
    runner.train()
    return runner, rates.rates


@pytest.fixture
def resumed(tmp_path, caplog):
    """Train half of a run, then resume with another config."""

    def run(**config):
        train(tmp_path / "run", Stop())
        runner, rates = train(tmp_path / "run", resume=True, log=caplog.handler, **config)
        return runner, rates

    return run


def test_same_config_changes_nothing(resumed, tmp_path, caplog):
    _, whole = train(tmp_path / "whole")
    runner, rates = resumed()
    assert rates == whole[HALF * 2 :]
    assert runner.iter == EPOCHS * 2
    assert "Resuming" not in caplog.text


@pytest.mark.parametrize("batch", [2, 8])
def test_changed_batch_keeps_the_fraction_of_the_schedule(resumed, tmp_path, caplog, batch):
    _, whole = train(tmp_path / "whole", batch=batch)
    runner, rates = resumed(batch=batch)
    length = 8 // batch
    assert rates == pytest.approx(whole[HALF * length :])
    assert runner.iter == EPOCHS * length
    assert f"epochs have 2 iterations, this run's {length}" in caplog.text


def test_extended_run_has_the_rates_of_the_longer_schedule(resumed, tmp_path, caplog):
    _, whole = train(tmp_path / "whole", epochs=10)
    _, rates = resumed(epochs=10)
    assert rates == whole[HALF * 2 :]
    assert "CosineAnnealingLR follows the config" in caplog.text


def test_trial_run_can_resume_at_full_length(tmp_path, caplog):
    schedule = [
        dict(type="LinearLR", start_factor=0.1, end=4, convert_to_iter_based=True),
        dict(type="CosineAnnealingLR", begin=4, convert_to_iter_based=True),
    ]
    trial = Config(dict(train_cfg=dict(max_epochs=2), param_scheduler=schedule))
    assert "warm-up" in trim_schedule(trial)
    train(tmp_path / "run", epochs=2, param_scheduler=trial.param_scheduler)
    _, whole = train(tmp_path / "whole", epochs=10, param_scheduler=schedule)
    _, rates = train(
        tmp_path / "run", epochs=10, param_scheduler=schedule, resume=True, log=caplog.handler
    )
    assert rates == whole[4:]
    assert "the checkpoint has 1 schedulers, the config 2" in caplog.text


@pytest.mark.parametrize("epochs", [EPOCHS, 8])
def test_schedules_with_functions_in_their_state_are_resumed(tmp_path, epochs):
    schedule = dict(type="OneCycleLR", eta_max=0.2, anneal_strategy="linear", by_epoch=True)
    train(tmp_path / "run", Stop(), param_scheduler=schedule)
    _, whole = train(tmp_path / "whole", epochs=epochs, param_scheduler=schedule)
    _, rates = train(tmp_path / "run", epochs=epochs, param_scheduler=schedule, resume=True)
    assert rates == whole[HALF * 2 :]


def test_changed_learning_rate_applies_after_resuming(resumed, tmp_path, caplog):
    _, whole = train(tmp_path / "whole")
    _, rates = resumed(lr=0.05)
    assert rates == pytest.approx([rate / 2 for rate in whole[HALF * 2 :]])
    assert "the highest learning rate was 0.1 and is 0.05" in caplog.text


def test_checkpoint_of_mmengines_loop_follows_the_config(tmp_path):
    train(tmp_path / "run", Stop(), loop="EpochBasedTrainLoop")
    _, whole = train(tmp_path / "whole", batch=2)
    _, rates = train(tmp_path / "run", batch=2, resume=True)
    assert rates == pytest.approx(whole[HALF * 4 :])


@pytest.mark.parametrize("epochs", [5, 9])
def test_changed_length_within_the_warm_up_is_reported(epochs):
    before = dict(schedulers=[dict(type="LinearLR", start_factor=0.1, end=20)])
    whole, resumed, changes = whole_and_resumed(before, before | dict(epochs=epochs), 12)
    assert resumed == whole
    assert changes == [f"the checkpoint's run had 6 epochs, this one has {epochs}"]
