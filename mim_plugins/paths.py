"""Where this package's configs and tools are, in a checkout and in an installed wheel."""

from pathlib import Path

_SHIPPED = Path(__file__).parent / ".mim"

CONFIG_DIR = _SHIPPED / "configs"
TOOLS_DIR = _SHIPPED / "tools"
