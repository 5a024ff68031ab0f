"""The error of an image that cannot be used."""


class DamagedImageError(ValueError):
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
