"""Graphs into which ``torch.compile`` splits a training step."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch._dynamo
from torch._dynamo.utils import counters


class GraphCounts(NamedTuple):
    """Graphs of several steps with different masks."""

    graphs: int
    """Graphs compiled in the first step."""
    recompiled: int
    """Graphs compiled in later steps."""
    breaks: dict[str, int]
    """Number of graph breaks by reason."""


def count_graphs(
    loss: Callable[[Any], Any], batches: Iterable[Any], dynamic: bool | None = False
) -> GraphCounts:
    """Compile ``loss`` without generating code, and call it on each batch.

    A model on the device ``meta`` needs no time for the steps, and uses the code for GPUs.

    Args:
        loss: function of a batch.
        batches: batches of equal shapes.
        dynamic: argument of ``torch.compile``.
    """
    compiled = 0

    def backend(module: torch.fx.GraphModule, _: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return module.forward

    torch._dynamo.reset()
    counters.clear()
    step = torch.compile(loss, backend=backend, dynamic=dynamic)
    first = None
    for batch in batches:
        step(batch)
        first = compiled if first is None else first
    breaks = {reason.splitlines()[0]: count for reason, count in counters["graph_break"].items()}
    torch._dynamo.reset()
    return GraphCounts(first or 0, compiled - (first or 0), breaks)
