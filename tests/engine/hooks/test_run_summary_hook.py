from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader

from mim_plugins.datasets import MixtureSampler
from mim_plugins.engine.hooks import RunSummaryHook
from mim_plugins.engine.loops import ResumableDataLoader
from mim_plugins.registry import PARAM_SCHEDULERS


class Log:
    def __init__(self):
        self.infos, self.warnings = [], []

    def info(self, text):
        self.infos.append(text)

    def warning(self, text):
        self.warnings.append(text)


def make_runner(images=10, batch=4, accumulate=2, recipe=None, enable=False, loop=None):
    parameter = torch.nn.Parameter(torch.zeros(1))
    return SimpleNamespace(
        train_dataloader=DataLoader(list(range(images)), batch_size=batch, drop_last=True),
        optim_wrapper=OptimWrapper(
            torch.optim.SGD([parameter], lr=0.5), accumulative_counts=accumulate
        ),
        cfg=Config(dict(auto_scale_lr=dict(base_batch_size=recipe, enable=enable))),
        max_epochs=3,
        logger=Log(),
        train_loop=loop,
        max_iters=getattr(loop, "max_iters", None),
        param_schedulers=None,
    )


def test_global_batch_and_learning_rate_are_logged():
    runner = make_runner()
    RunSummaryHook().before_train(runner)
    (line,) = runner.logger.infos
    assert "10 images" in line
    assert "global batch 8" in line
    assert "3 epochs of 2 iterations" in line
    assert "0.5" in line


@pytest.mark.parametrize("kind", ["LinearLR", "mim_plugins.LinearWarmupLR"])
def test_rate_is_the_highest_that_the_run_reaches(kind):
    for iterations, of in ((4, 10), (30, 10)):
        runner = make_runner()
        runner.max_iters, wrapper = iterations, runner.optim_wrapper
        factors = dict(start_factor=0.1) if kind == "LinearLR" else {}
        scheduler = PARAM_SCHEDULERS.build(
            dict(type=kind, optimizer=wrapper, end=of, by_epoch=False, **factors)
        )
        runner.param_schedulers = [scheduler]
        RunSummaryHook().before_train(runner)
        reached = []
        for _ in range(iterations):
            reached.append(wrapper.get_lr()["lr"][0])
            wrapper.optimizer.step()
            scheduler.step()
        assert runner.logger.infos[0].endswith(f"learning rate {max(reached):.3g}")


def test_iteration_based_length_is_logged_in_passes():
    # with an InfiniteSampler, the length of the loader is one pass, not the run
    loop = object.__new__(IterBasedTrainLoop)
    loop._max_iters = 30
    runner = make_runner(loop=loop)
    RunSummaryHook().before_train(runner)
    (line,) = runner.logger.infos
    assert "30 iterations = 12 passes over the images" in line
    assert "epochs" not in line


@pytest.mark.parametrize(
    ("recipe", "enable", "warns"),
    [(8, False, False), (2048, False, True), (2048, True, False), (None, False, False)],
)
def test_different_global_batch_warns_unless_scaled(recipe, enable, warns):
    runner = make_runner(recipe=recipe, enable=enable)
    RunSummaryHook().before_train(runner)
    assert bool(runner.logger.warnings) == warns


def test_each_optimizer_has_its_own_lines():
    runner = make_runner(recipe=8)
    other = OptimWrapper(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.25))
    runner.optim_wrapper = OptimWrapperDict(encoder=runner.optim_wrapper, teacher=other)
    RunSummaryHook().before_train(runner)
    encoder, teacher = runner.logger.infos
    assert encoder.startswith("encoder: ")
    assert "global batch 8" in encoder
    assert encoder.endswith("learning rate 0.5")
    assert teacher.startswith("teacher: ")
    assert "global batch 4" in teacher
    assert teacher.endswith("learning rate 0.25")
    (warning,) = runner.logger.warnings
    assert warning.startswith("teacher: ")


class Ten(BaseDataset):
    def load_data_list(self):
        return [dict(img_path=f"{index}.jpg") for index in range(10)]


def test_repeated_images_count_once():
    runner = make_runner()
    repeated = RepeatDataset(Ten(), times=3)
    runner.train_dataloader = DataLoader(repeated, batch_size=4, drop_last=True)
    RunSummaryHook().before_train(runner)
    (line,) = runner.logger.infos
    assert "Training on 10 images (30 samples with repeats)" in line
    assert "3 epochs of 7 iterations" in line


@pytest.mark.parametrize("wrap", [lambda loader: loader, ResumableDataLoader])
def test_images_of_a_mixture_are_those_of_an_epoch(wrap):
    runner = make_runner()
    parts = ConcatDataset([Ten(), Ten()])
    sampler = MixtureSampler(parts, weights=[1, 0.2], seed=0)
    runner.train_dataloader = wrap(DataLoader(parts, batch_size=4, sampler=sampler))
    RunSummaryHook().before_train(runner)
    (line,) = runner.logger.infos
    assert "Training on 20 images (12 per epoch by their weights)" in line
    assert "3 epochs of 3 iterations" in line


class Pairs:
    """Batch sampler that defines no number of images, or several."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    def __len__(self):
        return 5

    def __iter__(self):
        return iter([[index, index + 1] for index in range(0, 10, 2)])


@pytest.mark.parametrize("wrap", [lambda loader: loader, ResumableDataLoader])
@pytest.mark.parametrize("attributes", [{}, dict(batch_size=None), dict(batch_size=[2, 3])])
@pytest.mark.parametrize("iterations", [None, 30])
def test_batch_sampler_without_a_size_is_named(wrap, attributes, iterations):
    loop = None
    if iterations is not None:
        loop = object.__new__(IterBasedTrainLoop)
        loop._max_iters = iterations
    runner = make_runner(recipe=8, loop=loop)
    runner.train_dataloader = wrap(DataLoader(list(range(10)), batch_sampler=Pairs(**attributes)))
    RunSummaryHook().before_train(runner)
    (line,) = runner.logger.infos
    assert "global batch = 1 process * a batch of Pairs * 2 accumulated" in line
    assert ("30 iterations, " if iterations else "3 epochs of 5 iterations, ") in line
    assert not runner.logger.warnings


def test_size_of_a_batch_sampler_is_used():
    runner = make_runner()
    runner.train_dataloader = DataLoader(list(range(10)), batch_sampler=Pairs(batch_size=2))
    RunSummaryHook().before_train(runner)
    assert "global batch 4 = 1 process * 2 images * 2 accumulated" in runner.logger.infos[0]
