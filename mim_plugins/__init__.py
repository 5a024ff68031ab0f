"""Masked-image pre-training for OpenMMLab: MixMAE and MR-MAE as MMEngine plugins.

Importing this package registers its modules in scope ``mim_plugins``; in a config, write
``custom_imports = dict(imports=['mim_plugins'])``.
"""

import warnings

from . import (
    algorithms,
    analysis,
    apis,
    backbones,
    checkpoints,
    data_preprocessors,
    datasets,
    decoders,
    engine,
    evaluation,
    heads,
    necks,
    targets,
    transforms,
    visualization,
)
from .apis import extract_features, get_model, list_models, reconstruct
from .compat import leave_out_multimodal_models
from .paths import CONFIG_DIR, TOOLS_DIR
from .version import __version__

leave_out_multimodal_models()
checkpoints.allow_mmengine_checkpoints()
# a warning of mmcv-lite at every start; pre-training and classification do not need the module
warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformableAttention``")

__all__ = [
    "CONFIG_DIR",
    "TOOLS_DIR",
    "__version__",
    "algorithms",
    "analysis",
    "apis",
    "backbones",
    "data_preprocessors",
    "datasets",
    "decoders",
    "engine",
    "evaluation",
    "extract_features",
    "get_model",
    "heads",
    "list_models",
    "necks",
    "reconstruct",
    "targets",
    "transforms",
    "visualization",
]
