"""Numbers from the random generators of Python, NumPy and PyTorch."""

import random

import numpy as np
import torch


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
