from importlib.metadata import version

import mim_plugins


def test_installed_version_is_the_packages():
    assert version("mim_plugins") == mim_plugins.__version__
