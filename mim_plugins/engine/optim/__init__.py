from .layer_decay_optim_wrapper_constructor import LayerDecayOptimWrapperConstructor
from .sharded_optimizer import build_sharded_optimizer, gather_optimizer_state

__all__ = [
    "LayerDecayOptimWrapperConstructor",
    "build_sharded_optimizer",
    "gather_optimizer_state",
]
