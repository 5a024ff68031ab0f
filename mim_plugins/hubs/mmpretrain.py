"""This package's recipes in mmpretrain: ``import mim_plugins.hubs.mmpretrain`` registers them.

``mmpretrain.list_models("*mixmae*")`` then lists them, and ``mmpretrain.get_model(NAME)`` builds
them. Those for detection and segmentation are left out, because mmpretrain cannot build them.
"""

from mmpretrain.apis.model import ModelHub

from ..paths import CONFIG_DIR

_FOLDERS = (
    "baselines", "mixmae", "mrmae", "transfer/inat2018", "transfer/inat2019",
    "transfer/places205", "transfer/places365",
)  # fmt: skip

for _folder in _FOLDERS:
    ModelHub.register_model_index(CONFIG_DIR / _folder / "metafile.yml", CONFIG_DIR.parent)
