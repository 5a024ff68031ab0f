from . import consistency, process_group, run_config, work_dir
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .atomic_local_backend import AtomicLocalBackend
from .config_options import add_config_options
from .console_runner import ConsoleRunner
from .data_fault_hook import DataFaultHook
from .device_option import add_device_option
from .endless_sampler import require_end_of_evaluation
from .guarded_stream import GuardedStream, guarded_console
from .guarded_vis_backend import GuardedVisBackend
from .guarded_writers import guard_writers
from .knn_hook import KNNHook
from .layer_decay_optim_wrapper_constructor import LayerDecayOptimWrapperConstructor
from .loss_guard_hook import LossGuardHook
from .non_finite_loss_error import NonFiniteLossError
from .precision import fit_precision
from .preemption_hook import REQUEUE_EXIT_CODE, PreemptionHook
from .reconstruction_hook import ReconstructionHook
from .resumable_data_loader import ResumableDataLoader
from .resumable_epoch_loop import ResumableEpochLoop
from .resumable_iter_loop import ResumableIterLoop
from .resumable_parts import use_resumable_parts
from .run_summary_hook import RunSummaryHook
from .sharded_optimizer import build_sharded_optimizer, gather_optimizer_state
from .stall_watchdog_hook import StallWatchdogHook
from .throughput_hook import ThroughputHook
from .user_errors import BUILD_ERRORS, missing_packages_remedy, user_errors
from .work_dir_error import WorkDirError
from .work_dir_lock import WorkDirLock

__all__ = [
    "BUILD_ERRORS",
    "REQUEUE_EXIT_CODE",
    "AtomicCheckpointHook",
    "AtomicLocalBackend",
    "ConsoleRunner",
    "DataFaultHook",
    "GuardedStream",
    "GuardedVisBackend",
    "KNNHook",
    "LayerDecayOptimWrapperConstructor",
    "LossGuardHook",
    "NonFiniteLossError",
    "PreemptionHook",
    "ReconstructionHook",
    "ResumableDataLoader",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "RunSummaryHook",
    "StallWatchdogHook",
    "ThroughputHook",
    "WorkDirError",
    "WorkDirLock",
    "add_config_options",
    "add_device_option",
    "build_sharded_optimizer",
    "consistency",
    "fit_precision",
    "gather_optimizer_state",
    "guard_writers",
    "guarded_console",
    "missing_packages_remedy",
    "process_group",
    "require_end_of_evaluation",
    "run_config",
    "use_resumable_parts",
    "user_errors",
    "work_dir",
]
