"""Grids of position embeddings that other code bases store as one row per token.

The file contains neither the grid nor whether the first row belongs to a [CLS] token. Both follow
from the model's grid, from the number of rows, and from the embedding itself, in which vertical
neighbors are similar.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

_MARGIN = 0.02  # of mean cosines
_SIGNIFICANT = 5.0  # standard deviations of the mean cosines of random rows
_LONGEST = 8  # ratio of the sides of a grid that is considered


class Positions(NamedTuple):
    """Position embedding."""

    cls: Tensor | None
    """Row of the [CLS] token (1, 1, D); None without one."""
    grid: Tensor
    """Embedding of the tokens (1, H, W, D)."""


class _Guess(NamedTuple):
    has_row: bool
    grid: tuple[int, int]


def split_positions(
    name: str, rows: Tensor, has_token: bool, expected: tuple[int, int] | None
) -> Positions:
    """Arrange the rows of a position embedding on the grid of its tokens.

    Args:
        name: name of the tensor, for messages.
        rows: one row per token (1, L, D), that of a [CLS] token first.
        has_token: the file contains a [CLS] token, which may have a row.
        expected: the model's grid (H, W), None if it is unknown.

    Raises:
        ValueError: the shape is another one, no grid fits, or several fit and the embedding does
            not decide between them.
    """
    if rows.ndim != 3 or len(rows) != 1:
        raise ValueError(f"{name} has shape {(*rows.shape,)}; expected (1, L, D)")
    guess = _decide(name, rows, _guesses(rows, has_token, expected), expected)
    cls, tokens = rows[:, : guess.has_row], rows[:, int(guess.has_row) :]
    grid = tokens.reshape(1, *guess.grid, rows.shape[2])
    return Positions(cls if guess.has_row else None, grid)


def reduced_grid(grid: tuple[int, int], tokens: int) -> tuple[int, int] | None:
    """Return the grid that has ``tokens`` cells of equally many cells of ``grid``, or None."""
    factor = math.isqrt(grid[0] * grid[1] // max(tokens, 1))
    sides = (grid[0] // max(factor, 1), grid[1] // max(factor, 1))
    return sides if sides[0] * sides[1] == tokens else None


def _guesses(rows: Tensor, has_token: bool, expected: tuple[int, int] | None) -> list[_Guess]:
    """Return the readings that the number of rows allows."""
    count = rows.shape[1]
    is_zero = count > 0 and not rows[:, 0].any()  # as MAE initializes the row of a [CLS] token
    found = []
    for has_row in (True, False):
        tokens = count - has_row
        if has_row and (tokens < 1 or not (has_token or is_zero)):
            continue
        side = math.isqrt(tokens)
        grids = [expected] if expected and math.prod(expected) == tokens else []
        if side * side == tokens and (side, side) != expected:
            grids.append((side, side))
        found += [_Guess(has_row, grid) for grid in grids if grid]
    with_row = [guess for guess in found if guess.has_row]
    return with_row if has_token and is_zero and with_row else found


def _decide(
    name: str, rows: Tensor, guesses: list[_Guess], expected: tuple[int, int] | None
) -> _Guess:
    count = rows.shape[1]
    if not guesses:
        own = f" nor the model's grid of {_sides(expected)}" if expected else ""
        raise ValueError(f"{name} has {count} tokens, which form neither a square grid{own}")
    best, *others = sorted(guesses, key=lambda guess: -_smoothness(rows, guess))
    if not all(_is_smoother(rows, best, other) for other in others):
        if len({guess.has_row for guess in guesses}) > 1:
            texts = (f"{_sides(g.grid)}{' and a [CLS] token' * g.has_row}" for g in guesses)
            raise ValueError(
                f"{name} has {count} tokens, which may be {' or '.join(texts)}, and its values do"
                " not decide this"
            )
        best = next(guess for guess in guesses if guess.grid == expected)
    if best.grid[0] != best.grid[1]:
        return best  # the model's
    rivals = [_Guess(best.has_row, grid) for grid in _factors(math.prod(best.grid))]
    rivals = [rival for rival in rivals if rival.grid != best.grid]
    smoother = [rival for rival in rivals if _is_smoother(rows, rival, best)]
    if smoother:
        likely = max(smoother, key=lambda rival: _smoothness(rows, rival))
        raise ValueError(
            f"{name} has {count} tokens, whose values are those of a grid of {_sides(likely.grid)},"
            f" not {_sides(best.grid)}; load it into a model of that grid first"
        )
    is_rectangle = expected is not None and expected[0] != expected[1]
    if is_rectangle and not all(_is_smoother(rows, best, rival) for rival in rivals):
        raise ValueError(
            f"{name} has {count} tokens, whose grid is unknown, because the model's grid is"
            f" {_sides(expected)} and the values do not show that they form {_sides(best.grid)};"
            " load it into a model of its own img_size first"
        )
    return best


def _factors(tokens: int) -> Iterator[tuple[int, int]]:
    """Yield the grids of a number of tokens, except very long ones."""
    for height in range(2, tokens // 2 + 1):
        width = tokens // height
        if height * width == tokens and max(height, width) <= _LONGEST * min(height, width):
            yield height, width


def _smoothness(rows: Tensor, guess: _Guess) -> float:
    """Return the mean cosine of vertical neighbors, relative to the mean of all tokens."""
    tokens, width = rows[0, int(guess.has_row) :].double(), guess.grid[1]
    if guess.grid[0] < 2:
        return 0.0
    centered = F.normalize(tokens - tokens.mean(dim=0), dim=1)
    return float((centered[:-width] * centered[width:]).sum(dim=1).mean())


def _is_smoother(rows: Tensor, one: _Guess, other: _Guess) -> bool:
    """Return whether the values clearly support one grid more than another."""
    pairs = [max((guess.grid[0] - 1) * guess.grid[1], 1) for guess in (one, other)]
    deviation = math.sqrt(sum(1 / count for count in pairs) / max(rows.shape[2], 1))
    margin = max(_MARGIN, _SIGNIFICANT * deviation)
    return _smoothness(rows, one) - _smoothness(rows, other) > margin


def _sides(grid: tuple[int, int] | None) -> str:
    return f"{grid[0]}x{grid[1]}" if grid else ""
