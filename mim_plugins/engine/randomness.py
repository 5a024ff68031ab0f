"""Random numbers that follow from a key, so that they do not depend on what was drawn before."""

import random
from typing import Any

import numpy as np
import torch


def seed_generators(*key: int, cuda: bool = False) -> None:
    """Seed the global generators of Python, NumPy and PyTorch from non-negative integers.

    Keys that differ anywhere give unrelated streams. ``cuda`` seeds the current GPU as well.
    """
    words = np.random.SeedSequence(key).generate_state(4)
    seed = int(words[0]) << 31 | int(words[1]) >> 1
    random.seed(seed)
    np.random.seed(words[2:])
    torch.default_generator.manual_seed(seed)
    if cuda and torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)


def generator_states() -> tuple[Any, Any, torch.Tensor]:
    """States of the three global CPU generators."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def restore_generators(states: tuple[Any, Any, torch.Tensor]) -> None:
    """Put back what :func:`generator_states` gave."""
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
