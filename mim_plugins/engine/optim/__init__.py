from .layer_decay_optim_wrapper_constructor import LayerDecayOptimWrapperConstructor
from .linear_warmup_lr import LinearWarmupLR
from .sharded_optimizer import build_sharded_optimizer, gather_optimizer_state

__all__ = [
    "LayerDecayOptimWrapperConstructor",
    "LinearWarmupLR",
    "build_sharded_optimizer",
    "gather_optimizer_state",
]
