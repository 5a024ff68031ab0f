"""Looking at a model without leaving a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..evaluation.features import evaluation_mode
from ..randomness import preserved_random_state, seed_generators


@contextmanager
def isolated_eval(model: nn.Module, seed: int) -> Iterator[None]:
    """Evaluation mode, no gradients and random numbers of ``seed`` within the block.

    After it, every module has its own mode again and the random generators their states, so that
    a training goes on as if nothing had been.
    """
    with evaluation_mode(model), preserved_random_state(), torch.no_grad():
        seed_generators(seed, cuda=True)
        yield
