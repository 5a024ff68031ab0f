import random

import numpy as np
import pytest
import torch

from mim_plugins.evaluation import preserved_random_state


def draw():
    return random.random(), np.random.rand(), torch.rand(1).item()


def seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def test_what_is_drawn_or_seeded_inside_leaves_no_trace():
    seed()
    expected = draw()

    seed()
    with preserved_random_state():
        inside = draw()
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)

    assert inside == expected
    assert draw() == expected


def test_an_exception_leaves_no_trace_either():
    seed()
    expected = draw()

    seed()
    with pytest.raises(KeyError), preserved_random_state():
        {}[draw()]

    assert draw() == expected
