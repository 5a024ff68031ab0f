from .endless_sampler import require_end_of_evaluation
from .resumable_data_loader import ResumableDataLoader
from .resumable_epoch_loop import ResumableEpochLoop
from .resumable_iter_loop import ResumableIterLoop

__all__ = [
    "ResumableDataLoader",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "require_end_of_evaluation",
]
