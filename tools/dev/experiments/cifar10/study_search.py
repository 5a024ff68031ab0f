"""Search for the learning rate of fine-tuning."""

from collections.abc import Callable

from study_plan import RATE_LIMITS, RATES


def best_rate(accuracy: Callable[[float], float]) -> float:
    """Return the learning rate with the best validation accuracy.

    The search goes on beyond the first rates while the best one is the lowest or highest.

    Args:
        accuracy: fine-tunes with a rate, and returns the validation accuracy.
    """
    found: dict[float, float] = {}
    waiting = [*RATES]
    while waiting:
        found |= {rate: accuracy(rate) for rate in waiting}
        best = max(found, key=found.__getitem__)
        edges = {min(found): best / 2, max(found): best * 2}
        beyond = [edges[best]] if best in edges else []
        waiting = [rate for rate in beyond if RATE_LIMITS[0] <= rate <= RATE_LIMITS[1]]
    return best
