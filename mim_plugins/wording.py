"""Words of messages that depend on numbers."""

from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, in the plural unless the number is 1."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"


def listed(names: Sequence[str], count: int = 3) -> str:
    """Return the first ``count`` names, and the number of the others if there are any."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
