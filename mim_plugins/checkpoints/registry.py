"""Registry of the strict initialization.

MMEngine loads ``init_cfg`` entries named ``Pretrained`` after all children are initialized, which
would otherwise overwrite the weights. So the strict version must have this name, and a scope in
which other models do not look for it. MMEngine imports the registry of a scope from this place.
"""

from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

SCOPE = __package__
WEIGHT_INITIALIZERS = Registry(
    ROOT_WEIGHT_INITIALIZERS.name, parent=ROOT_WEIGHT_INITIALIZERS, scope=SCOPE
)
