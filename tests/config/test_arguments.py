import inspect

import pytest
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.optim import AmpOptimWrapper
from torch import nn
from torch.utils.data import DataLoader

from mim_plugins.config import accepted_arguments
from mim_plugins.engine.hooks import AtomicCheckpointHook
from mim_plugins.engine.loops import ResumableEpochLoop

UNKNOWN = inspect.Parameter.empty


class Base:
    def __init__(self, size, depth: "int" = 1):
        pass


class Passing(Base):
    def __init__(self, own, **kwargs):
        self.mode = kwargs.pop("mode", None)
        if "flag" in kwargs:
            self.flag = kwargs["flag"]
        super().__init__(**kwargs)


class ByName(Base):
    def __init__(self, **kwargs):
        super(ByName, self).__init__(**kwargs)  # noqa: UP008


class Swallowing(Base):
    def __init__(self, own, **kwargs):
        super().__init__(1)
        self.others = kwargs


class Skipping(Passing):
    def __init__(self, **kwargs):
        super(Passing, self).__init__(**kwargs)


class Module(nn.Module):
    def __init__(self, width, **kwargs):
        super().__init__(**kwargs)


class Inheriting(Passing):
    pass


@pytest.mark.parametrize(
    ("built", "names", "is_open"),
    [
        (Base, {"size", "depth"}, False),
        (Passing, {"own", "mode", "flag", "size", "depth"}, False),
        (Inheriting, {"own", "mode", "flag", "size", "depth"}, False),
        (ByName, {"size", "depth"}, False),
        (Swallowing, {"own"}, True),
        (Skipping, set(), True),
        (Module, {"width"}, False),
        (lambda scale, *, mode: None, {"scale", "mode"}, False),
        (lambda scale, **others: None, {"scale"}, True),
    ],
)
def test_arguments_of_parents_are_included(built, names, is_open):
    found = accepted_arguments(built)
    assert (set(found.names), found.is_open) == (names, is_open)


@pytest.mark.parametrize("hook", [CheckpointHook, AtomicCheckpointHook])
def test_further_arguments_of_the_checkpoint_hook_are_refused(hook):
    found = accepted_arguments(hook)
    assert {"interval", "save_best", "backend_args", "save_begin"} <= set(found.names)
    assert not found.is_open


def test_arguments_of_mmengine_and_torch_are_found():
    assert {"dataloader", "max_epochs", "val_interval"} <= set(
        accepted_arguments(ResumableEpochLoop).names
    )
    assert {"loss_scale", "accumulative_counts", "clip_grad"} <= set(
        accepted_arguments(AmpOptimWrapper).names
    )
    assert accepted_arguments(LoggerHook).names["interval"] is int
    assert accepted_arguments(DataLoader).names["drop_last"] is bool


def test_annotations_of_other_packages_are_ignored():
    assert accepted_arguments(Base).names["depth"] is UNKNOWN


def test_names_that_a_hook_reads_hours_later_are_listed():
    from mmpretrain.engine import VisualizationHook

    found = accepted_arguments(VisualizationHook)
    assert {"enable", "wait_time", "rescale_factor"} <= set(found.names)
    assert not found.is_open
