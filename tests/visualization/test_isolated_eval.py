import pytest
import torch
from random_numbers import draw, seed
from torch import nn

from mim_plugins.visualization import isolated_eval


@pytest.mark.parametrize("fails", [False, True])
def test_modes_and_random_states_are_restored(fails):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    model[1].eval()  # a part that is frozen
    seed()
    expected = draw()
    seed()

    try:
        with isolated_eval(model, seed=3):
            assert not any(module.training for module in model.modules())
            assert not torch.is_grad_enabled()
            draw()
            if fails:
                raise KeyError
    except KeyError:
        pass

    assert [module.training for module in model.modules()] == [True, True, False]
    assert torch.is_grad_enabled()
    assert draw() == expected


def test_the_seed_decides_the_numbers_within():
    drawn = []
    for number in (1, 1, 2):
        with isolated_eval(nn.Identity(), number):
            drawn.append(draw())
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[1], drawn[2], strict=True))
