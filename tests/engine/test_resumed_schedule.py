import itertools

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner
from toy_run import ToyImages, ToyModel

EPOCHS, HALF = 6, 3


class Rates(Hook):
    """Keeps the learning rate of every iteration."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.param_groups[0]["lr"])


class Stop(Hook):
    """Ends the run after some epochs, when the checkpoint is there."""

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
    **changes,
):
    """Train on 8 images; the runner, and the learning rate of every iteration."""
    rates = Rates()
    runner = Runner(
        model=ToyModel(),
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=batch, dataset=ToyImages(), sampler=dict(type="DefaultSampler", shuffle=True)
        ),
        train_cfg=dict(type=loop, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=lr)),
        param_scheduler=[
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
    """Trains half of a run, then goes on with another config."""

    def run(**config):
        train(tmp_path / "run", Stop())
        runner, rates = train(tmp_path / "run", resume=True, log=caplog.handler, **config)
        return runner, rates

    return run


def test_with_the_same_config_nothing_changes(resumed, tmp_path, caplog):
    _, whole = train(tmp_path / "whole")
    runner, rates = resumed()
    assert rates == whole[HALF * 2 :]
    assert runner.iter == EPOCHS * 2
    assert "Resuming" not in caplog.text


@pytest.mark.parametrize("batch", [2, 8])
def test_with_other_batches_the_schedule_is_at_the_same_part_of_the_run(
    resumed, tmp_path, caplog, batch
):
    _, whole = train(tmp_path / "whole", batch=batch)
    runner, rates = resumed(batch=batch)
    length = 8 // batch
    assert rates == pytest.approx(whole[HALF * length :])
    assert runner.iter == EPOCHS * length
    assert f"epochs have 2 iterations, this run's {length}" in caplog.text


def test_a_run_that_is_made_longer_decays_to_its_new_end(resumed, caplog):
    runner, rates = resumed(epochs=10)
    assert len(rates) == (10 - HALF) * 2
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert "CosineAnnealingLR follows the config" in caplog.text
    assert 0 < runner.optim_wrapper.param_groups[0]["lr"] < 0.01 * 0.1


def test_another_learning_rate_holds_from_there_on(resumed, tmp_path, caplog):
    _, whole = train(tmp_path / "whole")
    _, rates = resumed(lr=0.05)
    assert rates == pytest.approx([rate / 2 for rate in whole[HALF * 2 :]])
    assert "the highest learning rate was 0.1 and is 0.05" in caplog.text


def test_a_checkpoint_of_mmengines_loop_follows_too(tmp_path):
    train(tmp_path / "run", Stop(), loop="EpochBasedTrainLoop")
    _, whole = train(tmp_path / "whole", batch=2)
    _, rates = train(tmp_path / "run", batch=2, resume=True)
    assert rates == pytest.approx(whole[HALF * 4 :])
