"""Packages with which the tests run."""

from importlib import metadata

ON_FORKS = any(each.name == "onedl-mmengine" for each in metadata.distributions())
"""True if the maintained forks replace OpenMMLab's packages."""
