from . import run_config
from .layer_decay_optim_wrapper_constructor import LayerDecayOptimWrapperConstructor
from .run_summary_hook import RunSummaryHook
from .safe_globals import allow_mmengine_checkpoints

__all__ = [
    "LayerDecayOptimWrapperConstructor",
    "RunSummaryHook",
    "allow_mmengine_checkpoints",
    "run_config",
]
