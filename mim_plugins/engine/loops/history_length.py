"""Length of the histories of logged values, which MMEngine copies in every iteration."""

from contextlib import suppress
from typing import Any

from mmengine.runner import Runner

_ENTIRE = 10**6  # MMEngine's length; a copy of so many values takes milliseconds
_LEAST = 10_000


def history_length(runner: Runner, iterations: int) -> int:
    """Return the number of values that the log needs, of each loss and each time.

    Args:
        runner: runner with its loops.
        iterations: iterations of an epoch.
    """
    processor = runner.log_processor
    windows = [each.get("window_size") for each in processor.custom_cfg]
    if any(window != "epoch" and not isinstance(window, int) for window in windows):
        return _ENTIRE  # "global"
    lengths = [_LEAST, iterations, processor.window_size]
    lengths += [window for window in windows if isinstance(window, int)]
    with suppress(TypeError, AttributeError):  # no validation, or of unknown length
        lengths.append(len(runner.val_loop.dataloader))
    return min(max(lengths), _ENTIRE)


def limit_histories(runner: Runner, length: int) -> None:
    """Limit the histories to their last values; the log and smoothed values remain the same."""
    buffers: dict[str, Any] = runner.message_hub.log_scalars
    for buffer in buffers.values():
        buffer.max_length = length
