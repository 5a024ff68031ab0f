"""Hook that reports corrupt training images and stops the run if they are too many."""

import math
from pathlib import Path

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ...config import hook_configs, type_name
from ...datasets.replacement import RECORD
from ...datasets.wrappers import count_images
from ...errors import CorruptImageError
from ...file_names import quote_name
from ...registry import HOOKS
from ..guards.guarded_writes import try_writing_lines

FILE_NAME = "corrupt_images.txt"


@HOOKS.register_module()
class CorruptImageHook(Hook):
    """Report every corrupt training image once, and stop the run if they are too many.

    :class:`UnlabeledImageFolder` and :class:`FaultTolerantDataset` replace corrupt images and
    record them in the sample. This hook gathers the records of all processes, logs their messages,
    writes the paths to ``corrupt_images.txt`` in the work folder and stores the list in
    checkpoints.

    Args:
        max_share: largest accepted share of corrupt images in the data set, from 0 to 1. An image
            counts once, even if it is sampled or repeated (``RepeatDataset``) several times.
        interval: iterations between two gatherings; more follow each epoch and precede the
            checkpoints of :class:`AtomicCheckpointHook`.

    Raises:
        ValueError: ``max_share`` outside [0, 1], or an ``interval`` below 1.
        CorruptImageError: during training, if more than ``max_share`` of the images are corrupt.
    """

    priority = "LOW"

    def __init__(self, max_share: float = 0.01, interval: int = 50) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f"CorruptImageHook: max_share={max_share} must be between 0 and 1")
        if interval < 1:
            raise ValueError(f"CorruptImageHook: interval={interval} must be at least 1")
        self.max_share = max_share
        self.interval = interval
        self._corrupt: dict[str, str] = {}
        self._pending: dict[str, str] = {}
        self._replaced = 0
        self._is_written = True

    @property
    def count(self) -> int:
        """Number of corrupt images known to all processes."""
        return len(self._corrupt)

    def before_train(self, runner: Runner) -> None:
        """Restore the list from the checkpoint of a resumed run."""
        known = runner.message_hub.runtime_info.get(RECORD, {})
        self._corrupt, self._pending, self._replaced = dict(known), {}, 0
        self._is_written = not known  # another work folder lacks the file

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Collect the records of this process; gather those of all processes at the interval."""
        samples = data_batch.get("data_samples") if isinstance(data_batch, dict) else None
        for sample in samples or ():
            record = sample.get(RECORD)
            if record is not None:
                self._pending.update(record)
                self._replaced += 1
        if self.every_n_train_iters(runner, self.interval) or runner.iter == 0:
            self._gather(runner)

    def before_saving(self, runner: Runner) -> None:
        """Gather the records that a checkpoint of :class:`AtomicCheckpointHook` would lack."""
        self._gather(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Gather the records of the last iterations of the epoch."""
        self._gather(runner)

    def after_train(self, runner: Runner) -> None:
        """Log the number of corrupt images and replaced samples."""
        self._gather(runner)
        replaced = sum(all_gather_object(self._replaced))
        if self._corrupt:
            runner.logger.warning(
                f"corrupt images: {len(self._corrupt)}, listed in"
                f" {Path(runner.work_dir) / FILE_NAME}; samples replaced in this run: {replaced}"
            )

    def _gather(self, runner: Runner) -> None:
        found: dict[str, str] = {}
        for pending in all_gather_object(self._pending):
            found.update(pending)
        self._pending = {}
        new = {path: found[path] for path in sorted(found.keys() - self._corrupt.keys())}
        if not new:
            self._write_list(runner)
            return
        self._corrupt.update(new)
        self._is_written = False
        runner.message_hub.update_info(RECORD, dict(self._corrupt))
        for message in new.values():
            runner.logger.warning(f"{message}; replaced by another sample")
        self._write_list(runner)
        images = count_images(runner.train_dataloader.dataset)
        if len(self._corrupt) > self.max_share * images:
            more = min(1, max(0.1, math.ceil(20 * len(self._corrupt) / images) / 10))
            raise CorruptImageError(
                f"{len(self._corrupt)} of {images} images are known to be corrupt, more than"
                f" max_share={self.max_share:g} allows; they are listed in"
                f" {Path(runner.work_dir) / FILE_NAME}. Check the data with"
                f" tools/misc/check_dataset.py, or allow more: {_option(runner)}={more:g}"
            )

    def _write_list(self, runner: Runner) -> None:
        """Write the list on the main process, unless the file is up to date."""
        if not self._is_written and is_main_process():
            file = Path(runner.work_dir) / FILE_NAME
            self._is_written = try_writing_lines(
                runner.logger, file, map(quote_name, sorted(self._corrupt))
            )


def _option(runner: Runner) -> str:
    """Return the command-line option of ``max_share``, with the name or index of the hook."""
    for field, hook in hook_configs(runner.cfg).items():
        kind = hook.get("type") if isinstance(hook, dict) else None
        if type_name(kind) == CorruptImageHook.__name__:
            return f"--cfg-options {field}.max_share"
    return f"max_share of {CorruptImageHook.__name__}, such as max_share"
