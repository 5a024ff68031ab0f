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
    transforms,
)
from .version import __version__

engine.allow_mmengine_checkpoints()

__all__ = [
    "__version__",
    "algorithms",
    "backbones",
    "data_preprocessors",
    "datasets",
    "decoders",
    "engine",
    "heads",
    "transforms",
]
