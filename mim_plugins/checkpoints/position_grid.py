"""Grids of position embeddings that other code bases store as one row per token.

The file contains neither the grid nor whether the first row belongs to a [CLS] token. Both follow
from the model's grid, from the number of rows, and from the embedding itself, see
:class:`GridEvidence`.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from .grid_evidence import GridEvidence

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
        ValueError: the shape is another one, no grid fits, the embedding is that of another grid,
            or several fit and it does not decide between them.
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
        if expected and math.prod(expected) == tokens:
            found.append(_Guess(has_row, expected))
        elif side * side == tokens:
            found.append(_Guess(has_row, (side, side)))
    with_row = [guess for guess in found if guess.has_row]
    return with_row if has_token and is_zero and with_row else found


def _decide(
    name: str, rows: Tensor, guesses: list[_Guess], expected: tuple[int, int] | None
) -> _Guess:
    count, evidence = rows.shape[1], GridEvidence(rows[0])
    if not guesses:
        form = f"form neither a square grid nor the model's grid of {_sides(expected)}"
        raise ValueError(
            f"{name} has {count} tokens, which {form if expected else 'do not form a square grid'};"
            " load it into a model with the img_size of its training"
        )
    best, *others = sorted(guesses, key=lambda guess: guess.grid != expected)
    for other in others:  # with one token more or less
        if evidence.proves(other, best):
            best = other
        elif not evidence.supports(best, other):
            texts = (f"{_sides(g.grid)}{' and a [CLS] token' * g.has_row}" for g in (best, other))
            raise ValueError(
                f"{name} has {count} tokens, which may be {' or '.join(texts)}, and its values do"
                " not decide this"
            )
    rivals = [_Guess(best.has_row, grid) for grid in _factors(math.prod(best.grid))]
    rivals = [rival for rival in rivals if rival.grid != best.grid]
    # the model's grid is kept unless the values refute it, because most files fit their model
    is_likely = evidence.proves if best.grid == expected else evidence.supports
    likely = [rival for rival in rivals if is_likely(rival, best)]
    if likely:
        grid = max(likely, key=lambda rival: evidence.fit(*rival)).grid
        raise ValueError(
            f"{name} has {count} tokens, whose values are those of a grid of {_sides(grid)},"
            f" not {_sides(best.grid)}; load it into a model of that grid first"
        )
    is_other = best.grid != expected and expected is not None and expected[0] != expected[1]
    if is_other and not all(evidence.supports(best, rival) for rival in rivals):
        raise ValueError(
            f"{name} has {count} tokens, whose grid is unknown, because the model's grid is"
            f" {_sides(expected)} and the values do not show that they form {_sides(best.grid)};"
            " load it into a model with the img_size of its training"
        )
    return best


def _factors(tokens: int) -> Iterator[tuple[int, int]]:
    """Yield the grids of a number of tokens, except very long ones."""
    for height in range(2, tokens // 2 + 1):
        width = tokens // height
        if height * width == tokens and max(height, width) <= _LONGEST * min(height, width):
            yield height, width


def _sides(grid: tuple[int, int] | None) -> str:
    return f"{grid[0]}x{grid[1]}" if grid else ""
