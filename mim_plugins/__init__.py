"""Masked-image pre-training for OpenMMLab: MixMAE and MR-MAE as MMEngine plugins.

Importing this package registers its modules in scope ``mim_plugins``; in a config, write
``custom_imports = dict(imports=['mim_plugins'])``. The modules themselves, and PyTorch, are
imported at their first use.
"""

import warnings
from typing import TYPE_CHECKING

from . import registry
from .compat import leave_out_multimodal_models
from .lazy import lazy_attributes
from .paths import CONFIG_DIR, TOOLS_DIR
from .version import __version__

if TYPE_CHECKING:
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
        masking,
        necks,
        targets,
        transforms,
        visualization,
    )
    from .apis import embed, extract_features, get_model, list_models, load, reconstruct
    from .cli.pretraining import pretrain

leave_out_multimodal_models()
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
    "checkpoints",
    "data_preprocessors",
    "datasets",
    "decoders",
    "embed",
    "engine",
    "evaluation",
    "extract_features",
    "get_model",
    "heads",
    "list_models",
    "load",
    "masking",
    "necks",
    "pretrain",
    "reconstruct",
    "registry",
    "targets",
    "transforms",
    "visualization",
]
_FUNCTIONS = dict.fromkeys(
    ("embed", "extract_features", "get_model", "list_models", "load", "reconstruct"), "apis"
)
_OTHERS = ("analysis", "apis", "archives", "checks", "cli", "config", "errors", "layers")
_MODULES = {name: name for name in (*registry.PARTS, *_OTHERS)}
__getattr__ = lazy_attributes(__name__, _MODULES | _FUNCTIONS | dict(pretrain="cli.pretraining"))
