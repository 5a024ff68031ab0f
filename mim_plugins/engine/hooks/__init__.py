from .atomic_checkpoint_hook import AtomicCheckpointHook
from .corrupt_image_hook import CorruptImageHook
from .deferred_scalars_hook import DeferredScalarsHook
from .knn_hook import KNNHook
from .loss_guard_hook import LossGuardHook
from .preemption_hook import REQUEUE_EXIT_CODE, PreemptionHook
from .progress_hook import ProgressHook
from .reconstruction_hook import ReconstructionHook
from .restart_hook import RestartHook
from .run_summary_hook import RunSummaryHook
from .stall_watchdog_hook import StallWatchdogHook
from .status_hook import StatusHook
from .throughput_hook import ThroughputHook
from .timed_checkpoint_hook import TimedCheckpointHook

__all__ = [
    "REQUEUE_EXIT_CODE",
    "AtomicCheckpointHook",
    "CorruptImageHook",
    "DeferredScalarsHook",
    "KNNHook",
    "LossGuardHook",
    "PreemptionHook",
    "ProgressHook",
    "ReconstructionHook",
    "RestartHook",
    "RunSummaryHook",
    "StallWatchdogHook",
    "StatusHook",
    "ThroughputHook",
    "TimedCheckpointHook",
]
