"""Paths of this package's configs and tools, in a checkout and in an installed wheel.

A config of another project can inherit from a config of this package with

    _base_ = f"{__import__('mim_plugins').CONFIG_DIR}/mixmae/swin_b_600e.py"

MMEngine's ``package::config`` supports a fixed list of packages, and would look up types without a
scope, such as mmpretrain's, in this package.
"""

from pathlib import Path

_SHIPPED = Path(__file__).parent / ".mim"

CONFIG_DIR = _SHIPPED / "configs"
TOOLS_DIR = _SHIPPED / "tools"
