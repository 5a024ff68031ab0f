"""Evaluation during a training that leaves no trace in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..evaluation.features import evaluation_mode
from ..randomness import preserved_random_state, seed_generators


@contextmanager
def isolated_eval(model: nn.Module, seed: int) -> Iterator[None]:
    """Set evaluation mode, no gradients and the random seed ``seed`` within the block.

    The modes of all modules and the states of the random generators are restored afterwards, so the
    training continues as if nothing had happened.
    """
    with evaluation_mode(model), preserved_random_state(), torch.no_grad():
        seed_generators(seed, cuda=True)
        yield
