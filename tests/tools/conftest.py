"""Scripts of the CIFAR-10 experiment as modules."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "tools/dev/experiments/cifar10"


@pytest.fixture
def cifar10(monkeypatch):
    """Return a function that imports a script of the experiment by name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module
