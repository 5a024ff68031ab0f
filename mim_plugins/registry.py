"""Registries of scope ``mim_plugins``, children of MMEngine's roots.

Anything registered here is reachable from every OpenMMLab config as ``mim_plugins.<Name>`` once
``custom_imports = dict(imports=['mim_plugins'])`` has run.
"""

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as ROOT_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIMIZERS as ROOT_OPTIMIZERS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

SCOPE = "mim_plugins"

# algorithms, backbones, decoders, heads, data preprocessors
MODELS = Registry("model", parent=ROOT_MODELS, scope=SCOPE)
# image loading, batch transforms that mix images
TRANSFORMS = Registry("transform", parent=ROOT_TRANSFORMS, scope=SCOPE)
# image folders without labels, classification data that mmpretrain does not read
DATASETS = Registry("dataset", parent=ROOT_DATASETS, scope=SCOPE)
# training loops
LOOPS = Registry("loop", parent=ROOT_LOOPS, scope=SCOPE)
# hooks of the training loop
HOOKS = Registry("hook", parent=ROOT_HOOKS, scope=SCOPE)
# optimizers whose state is shared out among processes
OPTIMIZERS = Registry("optimizer", parent=ROOT_OPTIMIZERS, scope=SCOPE)
# parameter groups: weight-decay exemptions, layer-wise learning rates
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor", parent=ROOT_OPTIM_WRAPPER_CONSTRUCTORS, scope=SCOPE
)
