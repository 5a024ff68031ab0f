"""The error of a checkpoint that cannot be used."""


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or does not fit; the message names file, cause and remedy."""
