from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from mim_plugins.cli.global_batch import (
    accumulation_problem,
    inexact_checkpoints,
    keep_batch_of_run,
    keep_global_batch,
    launched_processes,
    scale_lr,
    scale_lr_with_accumulation,
)
from mim_plugins.errors import GlobalBatchError


def make_config(batch=64, recipe=2048, launcher="pytorch", **train_cfg):
    return Config(
        dict(
            launcher=launcher,
            train_dataloader=dict(batch_size=batch),
            optim_wrapper=dict(type="OptimWrapper"),
            train_cfg=train_cfg or dict(by_epoch=True, max_epochs=2),
            auto_scale_lr=dict(base_batch_size=recipe, enable=False),
        )
    )


@pytest.mark.parametrize(
    ("launcher", "variable"),
    [("pytorch", "WORLD_SIZE"), ("slurm", "SLURM_NTASKS"), ("mpi", "OMPI_COMM_WORLD_SIZE")],
)
def test_number_of_processes_is_known_before_initialization(monkeypatch, launcher, variable):
    monkeypatch.setenv(variable, "6")
    assert launched_processes(Config(dict(launcher=launcher))) == 6


def test_no_launcher_means_one_process():
    assert launched_processes(Config(dict(launcher="none"))) == 1
    assert launched_processes(Config({})) == 1


@pytest.mark.parametrize(
    ("world", "batch", "counts"), [(8, 256, 1), (4, 256, 2), (1, 64, 32), (16, 128, 1)]
)
def test_accumulation_reaches_the_recipes_global_batch(monkeypatch, world, batch, counts):
    monkeypatch.setenv("WORLD_SIZE", str(world))
    cfg = make_config(batch)
    keep_global_batch(cfg)
    assert cfg.optim_wrapper.accumulative_counts == counts
    assert cfg.train_dataloader.batch_size * world * counts == 2048


@pytest.mark.parametrize(
    ("world", "batch", "advice"),
    [(8, 300, "batch_size to 256"), (8, 512, "batch_size to 256"), (3, 64, "processes that div")],
)
def test_indivisible_batch_is_rejected_with_a_suggestion(monkeypatch, world, batch, advice):
    monkeypatch.setenv("WORLD_SIZE", str(world))
    with pytest.raises(GlobalBatchError, match=rf"2048.*{world} processes \* {batch}.*{advice}"):
        keep_global_batch(make_config(batch))


@pytest.mark.parametrize(
    "iterations",
    [
        dict(by_epoch=False, max_iters=10),
        dict(type="mim_plugins.ResumableIterLoop", max_iters=10),  # as replaced by tools/train.py
    ],
)
def test_iteration_based_recipe_is_rejected(iterations):
    with pytest.raises(GlobalBatchError, match="counts iterations"):
        keep_global_batch(make_config(launcher="none", **iterations))


def test_config_without_global_batch_is_rejected():
    with pytest.raises(GlobalBatchError, match=r"--keep-global-batch: .* does not define a global"):
        keep_global_batch(make_config(recipe=None, launcher="none"))
    with pytest.raises(GlobalBatchError, match=r"--auto-scale-lr: .* does not define a global"):
        scale_lr(Config({}))


@pytest.mark.parametrize(
    "loader", [None, dict(batch_sampler=dict(type="B", batch_size=2)), "a built loader"]
)
def test_config_without_batch_size_is_an_error_or_a_warning(loader):
    cfg = make_config(launcher="none")
    cfg.train_dataloader = loader
    with pytest.raises(GlobalBatchError, match=r"^--keep-global-batch: .*\.batch_size; add it"):
        keep_global_batch(cfg)
    assert "2048 images may have changed" in keep_batch_of_run(cfg, 2048)
    assert "accumulative_counts" not in cfg.optim_wrapper


def test_learning_rate_scaling_is_enabled():
    cfg = make_config(launcher="none")
    scale_lr(cfg)
    assert cfg.auto_scale_lr == dict(base_batch_size=2048, enable=True)


@pytest.mark.parametrize(("counts", "iterations"), [(1, 1), (32, 32), (32, 40), (32, 31), (2, 1)])
def test_accumulation_beyond_an_epoch_is_rejected(counts, iterations):
    runner = SimpleNamespace(
        cfg=Config(dict(optim_wrapper=dict(accumulative_counts=counts))),
        train_dataloader=range(iterations),
    )
    text = accumulation_problem(runner)
    if counts <= iterations:
        assert text is None
    else:
        assert f"accumulates {counts} iterations, but an epoch has {iterations}" in text
        assert "--auto-scale-lr" in text
        assert "\n" not in text


@pytest.mark.parametrize("by_epoch", [True, False])
@pytest.mark.parametrize("counts", [1, 2, 4, 6])
def test_checkpoints_between_updates_are_reported(counts, by_epoch):
    """The interval that the message contains is the smallest one without a message."""
    epoch = 3 if by_epoch else 1

    def message(interval):
        runner = SimpleNamespace(
            cfg=Config(dict(optim_wrapper=dict(accumulative_counts=counts))),
            train_dataloader=range(3), max_epochs=50, max_iters=50,
            hooks=[Hook(), CheckpointHook(interval=interval, by_epoch=by_epoch)],
        )  # fmt: skip
        return inexact_checkpoints(runner)

    for interval in (-1, *range(1, 50)):
        is_exact = interval < 0 or interval * epoch % counts == 0
        assert (message(interval) is None) == is_exact
        if not is_exact:
            assert message(int(message(interval).split()[-1])) is None
    assert message(50) is None  # only the end of the run


class Regression(BaseModel):
    """Model whose gradient is the mean over the images, independent of the batches."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, inputs, mode):
        return dict(loss=((self.weight - torch.stack(inputs) / 16) ** 2).mean())


class RecordRates(Hook):
    """Hook that records the learning rate of each iteration."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.get_lr()["lr"][0])


def train(tmp_path, batch, counts, recipe=8, scale=False, schedule=True):
    """Train 2 epochs on 16 numbers; return the weight and the learning rates."""
    warmup = dict(type="LinearLR", start_factor=0.01, begin=0, end=1, convert_to_iter_based=True)
    cosine = dict(type="CosineAnnealingLR", begin=1, convert_to_iter_based=True)
    optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1), accumulative_counts=counts)
    record = RecordRates()
    name = f"batch{batch}_counts{counts}_scale{scale}"
    runner = Runner(
        model=Regression(),
        work_dir=str(tmp_path / name),
        experiment_name=f"{tmp_path.name}_{name}",
        train_dataloader=dict(
            batch_size=batch,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=False),
            dataset=Numbers(),
            collate_fn=dict(type="pseudo_collate"),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=optim_wrapper,
        param_scheduler=[warmup, cosine] if schedule else None,
        auto_scale_lr=dict(base_batch_size=recipe, enable=scale),
        custom_hooks=[record],
        default_hooks=dict(checkpoint=None),
        cfg=dict(optim_wrapper=optim_wrapper),
    )
    scale_lr_with_accumulation(runner)
    runner.train()
    return runner.model.weight.item(), record.rates


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return dict(inputs=torch.tensor(float(index)))


def test_accumulated_batches_train_like_one_large_batch(tmp_path):
    whole, _ = train(tmp_path, batch=8, counts=1, schedule=False)
    parts, _ = train(tmp_path, batch=2, counts=4, schedule=False)
    assert parts == pytest.approx(whole, rel=1e-6)
    assert train(tmp_path, batch=2, counts=1, schedule=False)[0] != pytest.approx(whole, rel=1e-2)


def test_schedule_is_the_same_with_accumulation(tmp_path):
    _, whole = train(tmp_path, batch=4, counts=1)
    _, parts = train(tmp_path, batch=1, counts=4)
    assert len(parts) == 4 * len(whole) == 32
    # the warm-up ends and the cosine starts after the first epoch
    for rates, epoch in ((whole, 4), (parts, 16)):
        assert rates[:epoch] == sorted(rates[:epoch])
        assert rates[epoch:] == sorted(rates[epoch:], reverse=True)
        assert rates[epoch - 1] == pytest.approx(0.1) == rates[epoch]
    # an update is in the last of its four iterations, so up to one update later
    for update in range(4, 7):
        assert whole[update] > parts[4 * update + 3] > whole[update + 1]


@pytest.mark.parametrize(
    ("batch", "counts", "scale"), [(2, 4, True), (1, 8, True), (8, 1, True), (2, 4, False)]
)
def test_auto_scale_lr_counts_accumulated_batches(tmp_path, batch, counts, scale):
    _, rates = train(tmp_path, batch, counts, recipe=4, scale=scale)
    assert max(rates) == pytest.approx(0.1 * 8 / 4 if scale else 0.1)
