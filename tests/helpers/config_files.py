"""Shipped configs, each read once per process because several tests need all of them."""

import copy
from functools import cache
from pathlib import Path

from mmengine.config import Config

CONFIGS = Path(__file__).parents[2] / "configs"


@cache
def _read(name):
    return Config.fromfile(CONFIGS / name)


def load_config(name):
    """Return a config that the test may change, by its path in configs/."""
    return copy.deepcopy(_read(str(name)))
