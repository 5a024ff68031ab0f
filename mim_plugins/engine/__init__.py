from .guards import GuardedStream, GuardedVisBackend, guard_writers, guarded_console
from .hooks import (
    REQUEUE_EXIT_CODE,
    AtomicCheckpointHook,
    CorruptImageHook,
    KNNHook,
    LossGuardHook,
    PreemptionHook,
    ProgressHook,
    ReconstructionHook,
    RestartHook,
    RunSummaryHook,
    StallWatchdogHook,
    StatusHook,
    ThroughputHook,
    TimedCheckpointHook,
)
from .loops import (
    ResumableDataLoader,
    ResumableEpochLoop,
    ResumableIterLoop,
    check_evaluation_sampler,
)
from .optim import (
    LayerDecayOptimWrapperConstructor,
    LinearWarmupLR,
    build_sharded_optimizer,
    gather_optimizer_state,
)
from .resume import AtomicLocalBackend
from .sharding import FullyShardedModel

__all__ = [
    "REQUEUE_EXIT_CODE",
    "AtomicCheckpointHook",
    "AtomicLocalBackend",
    "CorruptImageHook",
    "FullyShardedModel",
    "GuardedStream",
    "GuardedVisBackend",
    "KNNHook",
    "LayerDecayOptimWrapperConstructor",
    "LinearWarmupLR",
    "LossGuardHook",
    "PreemptionHook",
    "ProgressHook",
    "ReconstructionHook",
    "RestartHook",
    "ResumableDataLoader",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "RunSummaryHook",
    "StallWatchdogHook",
    "StatusHook",
    "ThroughputHook",
    "TimedCheckpointHook",
    "build_sharded_optimizer",
    "check_evaluation_sampler",
    "gather_optimizer_state",
    "guard_writers",
    "guarded_console",
]
