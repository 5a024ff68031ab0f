"""Evidence of position embeddings for grids."""

import torch

from mim_plugins.checkpoints.grid_evidence import GridEvidence
from mim_plugins.layers import sincos_position_embedding

GRID, OTHERS = (8, 12), [(12, 8), (16, 6), (6, 16), (4, 24), (24, 4)]


def rows():
    return sincos_position_embedding(64, GRID)[0].flatten(0, 1)


def test_the_true_grid_is_supported_with_and_without_a_first_row():
    first = torch.full((1, 64), 0.5)
    for skipped, values in ((False, rows()), (True, torch.cat([first, rows()]))):
        evidence = GridEvidence(values)
        for other in OTHERS:
            assert evidence.supports((skipped, GRID), (skipped, other))
            assert not evidence.supports((skipped, other), (skipped, GRID))
            assert evidence.proves((skipped, GRID), (skipped, other))
            assert not evidence.proves((skipped, other), (skipped, GRID))


def test_distances_explain_cosines_of_a_stationary_embedding():
    evidence = GridEvidence(rows())
    best = max(evidence.fit(False, other) for other in OTHERS)
    assert 0.5 < best < evidence.fit(False, GRID) - 0.02 < 0.98


def test_random_and_constant_rows_support_no_grid():
    torch.manual_seed(0)
    for values in (torch.randn(96, 64), torch.ones(96, 64), torch.zeros(96, 64)):
        evidence = GridEvidence(values)
        readings = [(False, grid) for grid in (GRID, *OTHERS)]
        assert not any(evidence.supports(a, b) for a in readings for b in readings)


def test_a_part_of_the_tokens_decides_large_grids():
    values = sincos_position_embedding(32, (48, 96))[0].flatten(0, 1)
    evidence = GridEvidence(values)
    assert evidence.supports((False, (48, 96)), (False, (96, 48)))
    assert not evidence.supports((False, (96, 48)), (False, (48, 96)))
