import mim_plugins


def test_configs_and_tools_are_found_from_the_package():
    assert (mim_plugins.CONFIG_DIR / "mixmae/swin_b_600e.py").is_file()
    assert (mim_plugins.TOOLS_DIR / "train.py").is_file()
