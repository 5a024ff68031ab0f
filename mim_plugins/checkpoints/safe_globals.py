"""Loading MMEngine's own checkpoints with ``weights_only`` left on.

Since version 2.6, PyTorch refuses to unpickle anything but plain data unless it is allow-listed;
MMEngine's training checkpoints hold log buffers and NumPy scalars. What they need is allowed here,
nothing more, so that a malicious file is still refused.
"""

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_STATISTICS = ("min", "max", "mean", "current")


def _history_buffer_method(owner: object, name: str) -> object:
    """Stand-in for ``getattr`` in checkpoints: only the four methods that MMEngine pickles."""
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise ValueError(f"the checkpoint asks for attribute {name!r} of {owner!r}; it is refused")


def allow_mmengine_checkpoints() -> None:
    """Allow-list, for this process, what MMEngine's training checkpoints hold."""
    numpy_core = np._core if hasattr(np, "_core") else np.core
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_history_buffer_method, "builtins.getattr"),
            *(
                (getattr(numpy_core.multiarray, name), f"numpy.{core}.multiarray.{name}")
                for name in ("_reconstruct", "scalar")
                for core in ("core", "_core")  # NumPy 1 and 2
            ),
            np.ndarray,
            np.dtype,
            type(np.dtype("f8")),
            type(np.dtype("i8")),
        ]
    )
