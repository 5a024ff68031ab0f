"""Examples in docstrings are run."""

import doctest
from importlib import import_module

import pytest

MODULES = [
    "mim_plugins.algorithms.mixmae",
    "mim_plugins.algorithms.mrmae",
    "mim_plugins.apis.models",
    "mim_plugins.backbones.masked_swin",
    "mim_plugins.engine.loops.resumable_epoch_loop",
    "mim_plugins.targets.target_generator",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_give_the_printed_output(name):
    results = doctest.testmod(import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
