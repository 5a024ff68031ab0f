"""The error of a work folder that a run cannot have."""


class WorkDirError(RuntimeError):
    """The work folder is in use, holds another run's checkpoints or cannot be written."""
