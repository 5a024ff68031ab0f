from .endless_sampler import check_batch_size, check_evaluation_sampler
from .resumable_data_loader import ResumableDataLoader
from .resumable_epoch_loop import ResumableEpochLoop
from .resumable_iter_loop import ResumableIterLoop

__all__ = [
    "ResumableDataLoader",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "check_batch_size",
    "check_evaluation_sampler",
]
