"""Which packages the tests run with."""

from importlib import metadata

ON_FORKS = any(each.name == "onedl-mmengine" for each in metadata.distributions())
"""The maintained forks stand in for OpenMMLab's packages."""
