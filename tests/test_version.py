from importlib.metadata import version

import mim_plugins


def test_the_installed_version_is_the_packages_version():
    assert version("mim_plugins") == mim_plugins.__version__
