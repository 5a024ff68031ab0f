"""Rows of the tables: a quantity of a recipe, its value, and the source of the value."""

from typing import NamedTuple

# of a run or of the data, not of the method: they do not decide whose settings a recipe has
DETAILS = {"precision", "erased_type", "per_process", "classes", "sizes"}


class Row(NamedTuple):
    value: object
    source: str
    choice: str = ""
    """Words with which the config's header, or a comment of its _base_, states our choice."""


def paper(source, **values):
    return {quantity: Row(value, source) for quantity, value in values.items()}


def choice(words, **values):
    return {quantity: Row(value, "ours", words) for quantity, value in values.items()}


def ours(words, rows):
    """Rows of another recipe, taken over as our choice; details stay as they are."""
    return {
        quantity: row if row.choice else Row(row.value, row.source, words)
        for quantity, row in rows.items()
    }


def verdict(rows):
    """Source of the settings of a recipe."""
    choices = [bool(row.choice) for quantity, row in rows.items() if quantity not in DETAILS]
    return "ours" if all(choices) else "mixed" if any(choices) else "the paper's"


def same_rates(blocks):
    return dict(embeddings=1.0, blocks=[1.0] * blocks, norms=1.0, heads=1.0)


def swin_rates(rate, heads, blocks=24):
    """Return rates: a layer has ``rate`` times that of the next; the last norm is in a block."""
    scales = [rate**distance for distance in range(blocks + 1, -1, -1)]
    return dict(embeddings=scales[0], blocks=scales[1:-1], norms=rate, heads=heads)


def vit_rates(rate, blocks):
    """Return rates: a layer has ``rate`` times that of the next; the last norm is in the head."""
    scales = [rate**distance for distance in range(blocks + 1, -1, -1)]
    return dict(embeddings=scales[0], blocks=scales[1:-1], norms=1.0, heads=1.0)


def warmup_cosine(epochs, warmup, end=0.0):
    """Return five points: start, half and end of the warm-up, middle and end of the cosine."""
    middle = (warmup + epochs) / 2
    return {0: 0.0, warmup / 2: 0.5, warmup: 1.0, middle: (1 + end) / 2, epochs: end}
