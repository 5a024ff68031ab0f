"""Registries of scope ``mim_plugins``, children of MMEngine's roots.

Anything registered here is reachable from every OpenMMLab config as ``mim_plugins.<Name>`` once
``custom_imports = dict(imports=['mim_plugins'])`` has run. With
``default_scope = 'mim_plugins'``, as in the recipes for pre-training, the scope may be left out;
a name that neither this package nor MMEngine has is then looked up in mmpretrain. Pre-training
therefore imports mmpretrain only where a config names a module of it.
"""

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as ROOT_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIMIZERS as ROOT_OPTIMIZERS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry, root

SCOPE = "mim_plugins"
FALLBACK_SCOPE = "mmpretrain"


class PluginRegistry(Registry):
    """Registry of this package, with mmpretrain's modules behind its own and MMEngine's.

    Args:
        root: the registry of MMEngine for the same kind of module.
    """

    def __init__(self, root: Registry) -> None:
        super().__init__(root.name, parent=root, scope=SCOPE)

    def get(self, key: str) -> type | None:
        """Return the class that ``key`` names, or None."""
        found = super().get(key)
        if found is None and "." not in key:
            return super().get(f"{FALLBACK_SCOPE}.{key}")
        return found


# algorithms, backbones, decoders, heads, data preprocessors
MODELS = PluginRegistry(ROOT_MODELS)
# image loading, batch transforms that mix images
TRANSFORMS = PluginRegistry(ROOT_TRANSFORMS)
# image folders without labels, classification data that mmpretrain does not read
DATASETS = PluginRegistry(ROOT_DATASETS)
# training loops
LOOPS = PluginRegistry(ROOT_LOOPS)
# hooks of the training loop
HOOKS = PluginRegistry(ROOT_HOOKS)
# optimizers whose state is shared out among processes
OPTIMIZERS = PluginRegistry(ROOT_OPTIMIZERS)
# parameter groups: weight-decay exemptions, layer-wise learning rates
OPTIM_WRAPPER_CONSTRUCTORS = PluginRegistry(ROOT_OPTIM_WRAPPER_CONSTRUCTORS)
# nothing is registered in the others: MMEngine warns where a default scope has no registry
UNUSED = [
    PluginRegistry(each)
    for each in vars(root).values()
    if isinstance(each, Registry) and SCOPE not in each.children
]
