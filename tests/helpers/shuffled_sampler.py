"""Sampler for tests of orders."""

import torch
from torch.utils.data import Sampler


class Shuffled(Sampler):
    """Sampler of 8 indices whose order depends on a number that subclasses count."""

    number = 0

    def __len__(self):
        return 8

    def order(self, number):
        generator = torch.Generator().manual_seed(number)
        return torch.randperm(8, generator=generator).tolist()
