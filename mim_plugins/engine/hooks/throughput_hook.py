"""Hook that adds images per second to every log line."""

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from ...registry import HOOKS
from ..batch_images import images_in, images_per_batch


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Log ``images_per_s`` of all processes together, to the console and every visualizer.

    The value is the number of images per iteration (of this one, if a batch sampler defines no
    size) divided by the mean duration of the last ``window`` iterations, including data loading
    (``time`` in MMEngine's log).

    Args:
        window: iterations to average over; the default equals that of MMEngine's log processor.
    """

    # after MMEngine's timer, NORMAL (50), and before its log, BELOW_NORMAL (60)
    priority = 55

    def __init__(self, window: int = 10) -> None:
        if window < 1:
            raise ValueError(f"ThroughputHook: window={window} must be at least 1")
        self.window = window

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict | None = None,
    ) -> None:
        """Add the value to the scalars that the log processor reads."""
        hub = runner.message_hub
        if "train/time" not in hub.log_scalars:
            return
        seconds = float(hub.get_scalar("train/time").mean(self.window))
        images = images_per_batch(runner.train_dataloader) or images_in(data_batch)
        if images is None:
            return
        images *= get_world_size()
        hub.update_scalar("train/images_per_s", images / max(seconds, 1e-9))
