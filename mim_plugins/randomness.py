"""Seeding and restoring of the global random generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_generators(*key: int, cuda: bool = False) -> None:
    """Seed the global generators of Python, NumPy and PyTorch from non-negative integers.

    Keys of one length that differ in any integer give independent streams. ``cuda`` also seeds the
    current GPU.
    """
    words = np.random.SeedSequence(key).generate_state(4)
    seed = int(words[0]) << 31 | int(words[1]) >> 1
    random.seed(seed)
    np.random.seed(words[2:])
    torch.default_generator.manual_seed(seed)
    if cuda and torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)


@contextmanager
def preserved_random_state(cuda: bool = True) -> Iterator[None]:
    """Restore the states of Python's, NumPy's and PyTorch's generators at the end of the block.

    Without ``cuda``, the generator of the current GPU is not accessed; a data-loading process must
    not initialize the GPU.
    """
    python, numpy = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if cuda and torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
