"""Where this package's configs and tools are, in a checkout and in an installed wheel.

A config of another project inherits from one of ours, whatever program reads it, by

    _base_ = f"{__import__('mim_plugins').CONFIG_DIR}/mixmae/swin_b_600e.py"

MMEngine's ``package::config`` is for its own list of packages, and would look for types without a
prefix, such as mmpretrain's, in this package.
"""

from pathlib import Path

_SHIPPED = Path(__file__).parent / ".mim"

CONFIG_DIR = _SHIPPED / "configs"
TOOLS_DIR = _SHIPPED / "tools"
