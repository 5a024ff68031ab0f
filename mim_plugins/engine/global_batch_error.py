"""The error of a global batch that a run cannot have."""


class GlobalBatchError(ValueError):
    """The recipe's global batch cannot be kept; the message says what to change."""
