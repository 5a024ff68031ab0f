"""The error of a missing data set."""


class DataNotFoundError(FileNotFoundError):
    """Data that a config names is not there; the message says what was looked for and where."""
