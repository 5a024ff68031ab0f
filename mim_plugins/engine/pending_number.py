"""Number that is computed on a GPU and read later."""

from typing import Any

import torch
import torch.distributed as dist
from mmengine.dist import is_distributed
from torch import Tensor


class PendingNumber:
    """Maximum of an integer over all processes, computed while training continues.

    On CUDA, it is reduced and copied on a separate stream. Reading it waits for the kernels that
    were launched before it, but not for those after it, so the GPU is never idle.

    Args:
        value: tensor with one integer; it must not be changed afterwards.
    """

    def __init__(self, value: Tensor) -> None:
        self._event: Any = None
        self._work: Any = None
        if value.device.type == "cuda":
            self._copy_on_other_stream(value)
            return
        self._value = value
        if is_distributed():
            self._work = dist.all_reduce(value, dist.ReduceOp.MAX, async_op=True)

    def _copy_on_other_stream(self, value: Tensor) -> None:
        stream = torch.cuda.Stream(value.device)
        stream.wait_stream(torch.cuda.current_stream(value.device))
        with torch.cuda.stream(stream):
            if is_distributed():
                dist.all_reduce(value, dist.ReduceOp.MAX)
            self._value = value.to("cpu", non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(stream)
        value.record_stream(stream)  # else its memory could be used again too early

    def read(self) -> int:
        """Return the number."""
        if self._work is not None:
            self._work.wait()
        if self._event is not None:
            self._event.synchronize()
        return int(self._value)
