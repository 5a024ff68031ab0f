"""Requirements of this package and of its extras, as stated in setup.py."""

import re
from importlib import metadata
from typing import NamedTuple

# compared elsewhere
_NOT_COMPARED = ("torch", "torchvision")
# for developers, or sums of other extras
_OTHER_EXTRAS = ("all", "archives", "dev", "docs", "quickstart")


class Need(NamedTuple):
    """Requirement of this package, or of one of its extras."""

    name: str
    low: str | None
    """Lowest version."""
    high: str | None
    """First version that is too new."""
    extra: str | None

    @property
    def limits(self) -> str:
        """Return the versions that are allowed, as pip reads them."""
        limits = (f">={self.low}" if self.low else "", f"<{self.high}" if self.high else "")
        return ",".join(filter(None, limits))


def needs() -> list[Need]:
    """Return the requirements for users, none if this package is not installed."""
    try:
        lines = metadata.requires("mim_plugins") or []
    except metadata.PackageNotFoundError:
        return []
    return [
        need
        for need in map(_parse, lines)
        if need.name not in _NOT_COMPARED and need.extra not in _OTHER_EXTRAS
    ]


def _parse(line: str) -> Need:
    """Parse a line of the metadata, such as ``timm<2,>=1.0.31; extra == 'targets'``."""
    # without the package packaging, which may be missing
    requirement, _, marker = line.partition(";")
    name = re.split(r"[\s<>=!~(]", requirement.strip())[0]
    limits = dict(re.findall(r"(>=|<)\s*([\d.]+)", requirement))
    extra = re.search(r"extra\s*==\s*['\"]([\w-]+)", marker)
    return Need(name, limits.get(">="), limits.get("<"), extra[1] if extra else None)
