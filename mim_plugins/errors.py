"""Errors that a user can fix, which the command-line tools print as one line."""

BUILD_ERRORS = (
    AssertionError,  # of mmpretrain, mmdet and mmseg
    AttributeError,
    ImportError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
)
"""What building a model, a data set or a hook raises if their config is wrong."""


class ConfigError(ValueError):
    """A config file, or a change of one, is wrong; the message names file, cause and remedy."""


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or does not fit; the message names file, cause and remedy."""


class DataNotFoundError(FileNotFoundError):
    """Data that a config names is not there; the message says what was looked for and where."""


class GlobalBatchError(ValueError):
    """The recipe's global batch cannot be kept; the message says what to change."""


class NonFiniteLossError(RuntimeError):
    """A loss is not finite; the message names iteration, rank, loss terms and images."""


class WorkDirError(RuntimeError):
    """The work folder is in use, holds another run's checkpoints or cannot be written."""


class CorruptImageError(ValueError):
    """An image file cannot be used; the message says which one and why.

    Args:
        message: what is wrong, for people.
        path: the file.
        kind: one of :attr:`KINDS`.
    """

    KINDS = (
        "missing",
        "unreadable",
        "empty",
        "not an image",
        "truncated",
        "corrupt",
        "unsupported",
        "too large",
    )

    def __init__(self, message: str, path: str = "", kind: str = "") -> None:
        # a data loader's worker hands an error on by its message alone
        super().__init__(message)
        self.path = path
        self.kind = kind

    @property
    def summary(self) -> str:
        """The message without the traceback that a data loader's worker puts before it."""
        return str(self).rpartition(f"{type(self).__name__}: ")[-1].strip()
