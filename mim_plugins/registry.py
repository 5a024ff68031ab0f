"""Registries of scope ``mim_plugins``, children of MMEngine's roots.

Every OpenMMLab config can use a registered class as ``mim_plugins.<Name>`` after
``custom_imports = dict(imports=['mim_plugins'])``. With ``default_scope = 'mim_plugins'``, as in
the recipes for pre-training, the scope may be omitted, and names that neither this package nor
MMEngine has are looked up in mmpretrain. Pre-training therefore imports mmpretrain only if a config
names one of its modules.

The classes are imported at the first look-up in any of these registries, not with the package.
"""

from mmengine.registry import DATA_SAMPLERS as ROOT_DATA_SAMPLERS
from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import MODEL_WRAPPERS as ROOT_MODEL_WRAPPERS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as ROOT_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIMIZERS as ROOT_OPTIMIZERS
from mmengine.registry import PARAM_SCHEDULERS as ROOT_PARAM_SCHEDULERS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import VISBACKENDS as ROOT_VISBACKENDS
from mmengine.registry import Registry, root

SCOPE = "mim_plugins"
FALLBACK_SCOPE = "mmpretrain"
PARTS = (
    "algorithms", "backbones", "checkpoints", "data_preprocessors", "datasets", "decoders",
    "engine", "evaluation", "heads", "masking", "necks", "targets", "transforms", "visualization",
)  # fmt: skip
"""Folders of this package that register classes, or that extend PyTorch and MMEngine."""


class PluginRegistry(Registry):
    """Registry that searches this package, then MMEngine, then mmpretrain.

    Args:
        root: MMEngine's registry of the same kind.
    """

    def __init__(self, root: Registry) -> None:
        locations = [f"{SCOPE}.{part}" for part in PARTS]
        super().__init__(root.name, parent=root, scope=SCOPE, locations=locations)

    @property
    def module_dict(self) -> dict[str, type]:
        """The registered classes by name."""
        self.import_from_location()
        return super().module_dict

    def get(self, key: str) -> type | None:
        """Return the class of name ``key``, or None."""
        found = super().get(key)
        if found is None and "." not in key:
            return super().get(f"{FALLBACK_SCOPE}.{key}")
        return found


# algorithms, backbones, decoders, heads, data preprocessors
MODELS = PluginRegistry(ROOT_MODELS)
# models sharded over processes
MODEL_WRAPPERS = PluginRegistry(ROOT_MODEL_WRAPPERS)
# image loading, batch transforms that mix images
TRANSFORMS = PluginRegistry(ROOT_TRANSFORMS)
# image folders without labels, classification data that mmpretrain does not support
DATASETS = PluginRegistry(ROOT_DATASETS)
# order of the samples
DATA_SAMPLERS = PluginRegistry(ROOT_DATA_SAMPLERS)
# training loops
LOOPS = PluginRegistry(ROOT_LOOPS)
# hooks of the training loop
HOOKS = PluginRegistry(ROOT_HOOKS)
# optimizers whose state is sharded over processes
OPTIMIZERS = PluginRegistry(ROOT_OPTIMIZERS)
# parameter groups: weight-decay exemptions, layer-wise learning rates
OPTIM_WRAPPER_CONSTRUCTORS = PluginRegistry(ROOT_OPTIM_WRAPPER_CONSTRUCTORS)
# schedules of the learning rate
PARAM_SCHEDULERS = PluginRegistry(ROOT_PARAM_SCHEDULERS)
# curves and pictures of a run: TensorBoard, W&B
VISBACKENDS = PluginRegistry(ROOT_VISBACKENDS)
# empty registries of all other kinds: MMEngine warns if the default scope lacks one
UNUSED = [
    PluginRegistry(each)
    for each in vars(root).values()
    if isinstance(each, Registry) and SCOPE not in each.children
]
