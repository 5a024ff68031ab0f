from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch.utils.data import DataLoader

from mim_plugins.engine import RunSummaryHook


class Log:
    def __init__(self):
        self.infos, self.warnings = [], []

    def info(self, text):
        self.infos.append(text)

    def warning(self, text):
        self.warnings.append(text)


def make_runner(images=10, batch=4, accumulate=2, recipe=None, enable=False):
    parameter = torch.nn.Parameter(torch.zeros(1))
    return SimpleNamespace(
        train_dataloader=DataLoader(list(range(images)), batch_size=batch, drop_last=True),
        optim_wrapper=OptimWrapper(
            torch.optim.SGD([parameter], lr=0.5), accumulative_counts=accumulate
        ),
        cfg=Config(dict(auto_scale_lr=dict(base_batch_size=recipe, enable=enable))),
        logger=Log(),
    )


def test_global_batch_and_learning_rate_are_logged():
    runner = make_runner()
    RunSummaryHook().before_train(runner)
    (line,) = runner.logger.infos
    assert "10 images" in line
    assert "global batch 8" in line
    assert "2 iterations per epoch" in line
    assert "0.5" in line


@pytest.mark.parametrize(
    ("recipe", "enable", "warns"),
    [(8, False, False), (2048, False, True), (2048, True, False), (None, False, False)],
)
def test_batch_other_than_the_recipes_warns_unless_scaled(recipe, enable, warns):
    runner = make_runner(recipe=recipe, enable=enable)
    RunSummaryHook().before_train(runner)
    assert bool(runner.logger.warnings) == warns
