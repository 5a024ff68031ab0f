"""Time that is left to a report."""

import time


class Deadline:
    """Point in time at which a report ends.

    Args:
        seconds: from now to the end.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds, 0 at the end."""
        return max(0.0, self._end - time.monotonic())
