import pytest
import torch
from random_numbers import draw, seed

from mim_plugins.randomness import preserved_random_state, seed_generators


def test_the_key_determines_the_numbers():
    draws = {}
    for key in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 1, 0)]:
        seed_generators(*key)
        draws[key] = draw()
        draw()
        seed_generators(*key)
        assert draw() == draws[key]
    assert len(set(draws.values())) == len({value for each in draws.values() for value in each}) / 3


@pytest.mark.parametrize("cuda", [True, False])
def test_drawing_or_seeding_inside_leaves_the_state_unchanged(cuda):
    seed()
    expected = draw()

    seed()
    with preserved_random_state(cuda):
        inside = draw()
        seed_generators(5)

    assert inside == expected
    assert draw() == expected


def test_an_exception_leaves_the_state_unchanged():
    seed()
    expected = draw()

    seed()
    with pytest.raises(KeyError), preserved_random_state():
        {}[draw()]

    assert draw() == expected


def test_the_gpu_state_is_not_touched_without_cuda(monkeypatch):
    def touch():
        raise AssertionError("the GPU was touched")

    monkeypatch.setattr(torch.cuda, "is_available", touch)
    monkeypatch.setattr(torch.cuda, "current_device", touch)
    with preserved_random_state(cuda=False):
        draw()
    with pytest.raises(AssertionError, match="touched"), preserved_random_state():
        draw()
