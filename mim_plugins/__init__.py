"""Masked-image pre-training for OpenMMLab: MixMAE and MR-MAE as MMEngine plugins.

Importing this package registers everything in scope ``mim_plugins``; in a config, write
``custom_imports = dict(imports=['mim_plugins'])``.
"""

from . import (
    algorithms,
    backbones,
    data_preprocessors,
    datasets,
    decoders,
    engine,
    heads,
    targets,
    transforms,
)
from .paths import CONFIG_DIR, TOOLS_DIR
from .version import __version__

engine.allow_mmengine_checkpoints()

__all__ = [
    "CONFIG_DIR",
    "TOOLS_DIR",
    "__version__",
    "algorithms",
    "backbones",
    "data_preprocessors",
    "datasets",
    "decoders",
    "engine",
    "heads",
    "targets",
    "transforms",
]
