"""The error of a loss that is NaN or infinite."""


class NonFiniteLossError(RuntimeError):
    """A loss is not finite; the message names iteration, rank, loss terms and images."""
