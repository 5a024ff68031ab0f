import random

import numpy as np
import torch

from mim_plugins.engine.randomness import generator_states, restore_generators, seed_generators


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_numbers_follow_from_the_key():
    draws = {}
    for key in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 1, 0)]:
        seed_generators(*key)
        draws[key] = draw()
        draw()
        seed_generators(*key)
        assert draw() == draws[key]
    assert len(set(draws.values())) == len({value for each in draws.values() for value in each}) / 3


def test_states_are_restored():
    states = generator_states()
    first = draw()
    seed_generators(5)
    restore_generators(states)
    assert draw() == first
