"""Errors with a cause that the user can fix; the command-line tools print them as one line."""

BUILD_ERRORS = (
    AssertionError,  # of mmpretrain, mmdet and mmseg
    AttributeError,
    ImportError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
)
"""Exception types that building a model, a data set or a hook raises if its config is wrong."""


class UserError(Exception):
    """Base of this package's errors; each message contains what is wrong and what to do."""

    @property
    def summary(self) -> str:
        """The message without the traceback that a data loader prepends to a worker's error."""
        return str(self).rpartition(f"{type(self).__name__}: ")[-1].strip()


class ConfigError(UserError, ValueError):
    """Error in a config file or in an option that changes one."""


class CheckpointError(UserError, ValueError):
    """Error of a checkpoint that cannot be read or does not fit the model."""


class DataNotFoundError(UserError, FileNotFoundError):
    """Error of data that a config names but that do not exist."""


class SplitError(DataNotFoundError):
    """Error of a split of a data set that is missing or not clear.

    Args:
        cause: what is wrong, with the names to choose from.
        remedy: what to do.
    """

    def __init__(self, cause: str, remedy: str = "give the path of one as data") -> None:
        super().__init__(f"{cause}: {remedy}")
        self.cause = cause
        self.remedy = remedy


class ArchiveError(UserError, ValueError):
    """Error of an archive of images that is corrupt, or that lacks a package to read it."""


class TableError(ArchiveError):
    """Error of a table that has no column of images."""


class GlobalBatchError(UserError, ValueError):
    """Error of a batch size with which the recipe's global batch size cannot be kept."""


class NonFiniteLossError(UserError, RuntimeError):
    """Error of a loss that is NaN or infinite; with iteration, rank, loss terms and images."""


class NonFiniteFeaturesError(UserError, RuntimeError):
    """Error of features that are NaN or infinite; with their number and precision."""


class MissingPackageError(UserError, ImportError):
    """Error of a package that is not installed; the message contains the command."""


class WorkDirError(UserError, RuntimeError):
    """Error of a work folder that is in use, contains another run's files or is not writable."""


class CorruptImageError(UserError, ValueError):
    """Error of an image file that cannot be used.

    Args:
        message: the path and what is wrong with the file.
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
        "wrong bands",
    )

    def __init__(self, message: str, path: str = "", kind: str = "") -> None:
        # the worker process of a data loader passes on the message only
        super().__init__(message)
        self.path = path
        self.kind = kind
