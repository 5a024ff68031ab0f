import math

import pytest
import torch

from mim_plugins.evaluation import rankme


@pytest.mark.parametrize("rows", [5, 7, 20])
def test_equal_singular_values_give_the_full_rank(rows):
    square = torch.linalg.qr(torch.randn(rows, 5, generator=torch.Generator().manual_seed(0)))[0]
    assert rankme(3 * square) == pytest.approx(5, abs=1e-3)
    assert rankme(square.T) == pytest.approx(5, abs=1e-3)


def test_collapsed_features_have_rank_one():
    direction = torch.randn(16, generator=torch.Generator().manual_seed(0))
    assert rankme(torch.arange(1.0, 41)[:, None] * direction) == pytest.approx(1, abs=1e-3)
    assert rankme(torch.zeros(4, 3)) == 1


def test_unequal_singular_values_give_their_entropy():
    shares = torch.tensor([0.5, 0.25, 0.25])
    entropy = -(shares * shares.log()).sum()
    assert rankme(torch.diag(10 * shares)) == pytest.approx(float(entropy.exp()), rel=1e-6)


def test_large_data_are_sampled_over_their_whole_length():
    features = torch.eye(2).repeat_interleave(30_000, dim=0)
    assert rankme(features) == pytest.approx(2, abs=1e-3)


def test_features_that_are_not_finite_have_no_rank():
    assert math.isnan(rankme(torch.tensor([[1.0, math.inf], [0.0, 1.0]])))
