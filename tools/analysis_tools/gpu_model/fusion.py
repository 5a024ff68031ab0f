"""Kernels that ``torch.compile`` would generate for a graph, by a rule instead of a compiler.

The rule follows Inductor's scheduler for GPUs in PyTorch 2.11, without ``max-autotune``:

- Matrix products, convolutions, attention, sorting and scattering are kernels of libraries. All
  their inputs and outputs are in memory.
- An element-wise operation is computed where its result is used. Its result is in memory only if a
  library or the caller of the graph needs it, or if it is used twice and reads more than 4 tensors,
  or reads more than 8.
- Reductions and results in memory over equally many elements share a kernel if one uses the other
  or both read the same tensor. A result that is read in another order of its elements does not
  share the kernel of its reader.
- Reductions over the rows and over the columns of the same large matrix share a kernel if neither
  uses the other (PyTorch 2.10 and later). Smaller ones have separate kernels.
- A kernel reads each input and writes each output once. A reduction over columns takes two kernels.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from .gpu_trace import Operation, describe_operation
from .graph_reads import (
    Read,
    base_of,
    find_reads,
    name_of,
    producer_of,
    results_of,
    role,
    size_of,
    value_of,
)

# of a matrix whose reductions over rows and columns share a kernel
_MIXED_ELEMENTS, _MIXED_ROWS = 5 * 2**20, 4096


@dataclass
class _Kernel:
    """Results that one kernel computes."""

    elements: int
    """Elements that it visits."""
    rows: int = 0
    """Results of its reductions over the last dimensions; 0 if it has none."""
    columns: int = 0
    """Results of its other reductions."""
    roots: list[Node] = field(default_factory=list)
    reads: set[Read] = field(default_factory=set)
    needs: set[int] = field(default_factory=set)
    """Indices of the kernels that run before, directly or not."""

    def fits(self, other: "_Kernel") -> bool:
        """Return whether the results of another kernel can be computed in the same loops."""
        is_reduction = other.rows or other.columns
        if not is_reduction and other.elements in (self.rows, self.columns):
            return True  # operations on the results of a reduction
        if self.elements != other.elements:
            return False
        rows, columns = self.rows or other.rows, self.columns or other.columns
        if rows != (other.rows or rows) or columns != (other.columns or columns):
            return False
        if not columns:
            return True
        if not rows:  # Inductor does not reorder the loops of other operations
            return bool(self.columns and other.columns)
        is_large = self.elements >= _MIXED_ELEMENTS and rows >= max(_MIXED_ROWS, 2 * columns)
        uses = any(producer_of(read.source) in self.roots for read in other.reads)
        return is_large and rows * columns == self.elements and not (other.columns and uses)

    def add(self, other: "_Kernel") -> None:
        """Compute the results of another kernel that fits as well."""
        self.roots += other.roots
        self.reads |= other.reads
        self.rows, self.columns = self.rows or other.rows, self.columns or other.columns

    def operation(self, needed: set[Node]) -> Operation:
        """Describe the kernel, of which others need the results ``needed``."""
        moved: dict[Node, int] = defaultdict(int)
        for read in self.reads:
            if producer_of(read.source) not in self.roots:
                moved[read.source] += read.bytes
        # parts of a tensor, at most all of it
        count = sum(min(size, size_of(source)) for source, size in moved.items())
        written = [result for root in self.roots for result in results_of(root)]
        count += sum(size_of(result) for result in written if result in needed)
        names = ", ".join(dict.fromkeys(name_of(root) for root in self.roots))
        launches = 2 if self.columns or self.rows == 1 else 1
        return Operation("", f"fused({names})", launches, count, 0, False)


class FusedGraph(NamedTuple):
    """Kernels of a graph."""

    operations: list[Operation]
    """Kernels, without phase."""
    temporary_bytes: int
    """Largest number of bytes of results that are neither inputs nor outputs of the graph."""


class _Scheduler:
    """Distributes results among kernels, each to the one with which it shares most bytes."""

    def __init__(self) -> None:
        self.kernels: list[_Kernel] = []
        self._home: dict[Node, int] = {}  # kernel of each result
        self._before: dict[Node, set[int]] = {}  # kernels whose results a library needs
        self._readers: dict[Node, set[int]] = defaultdict(set)  # that read a tensor in order

    def pass_library(self, node: Node) -> None:
        """Note which kernels run before a kernel of a library."""
        found: set[int] = set()
        for source in (producer_of(base_of(x)) for x in node.all_input_nodes):
            found |= {self._home[source]} if source in self._home else set()
            found |= self._before.get(source, set())
        self._before[node] = found

    def place(self, node: Node, reads: Iterable[Read]) -> None:
        """Add a result to a kernel, or begin one."""
        own = _Kernel(*_extent(node), roots=[node], reads=set(reads))
        shared: dict[int, int] = defaultdict(int)
        makers: set[int] = set()
        refused: set[int] = set()  # a kernel cannot run before and after another one
        for read in own.reads:
            source = producer_of(read.source)
            refused |= self._closure(self._before.get(source, set()))
            candidates = set(self._readers[read.source])
            if source in self._home:
                maker = self._home[source]
                makers.add(maker)
                candidates.add(maker)
                refused |= self.kernels[maker].needs | ({maker} if read.reordered else set())
            for index in candidates if not read.reordered else ():
                shared[index] += read.bytes
        found = [x for x in shared if x not in refused and self.kernels[x].fits(own)]
        best = max(found, key=lambda index: shared[index], default=len(self.kernels))
        if found:
            self.kernels[best].add(own)
        else:
            self.kernels.append(own)
        self._home[node] = best
        for read in own.reads:
            if not read.reordered:
                self._readers[read.source].add(best)
        before = (self._closure(makers) | refused) - {best}
        for index, kernel in enumerate(self.kernels):
            if index == best or best in kernel.needs:
                kernel.needs |= before

    def _closure(self, indices: set[int]) -> set[int]:
        return indices.union(*(self.kernels[index].needs for index in indices))


def fuse(graph: Graph) -> FusedGraph:
    """Divide a forward or backward graph of AOTAutograd into kernels.

    ``graph`` consists of operations of ATen with the decompositions of Inductor. Each node has the
    metadata ``val``.
    """
    roles = {node: role(node) for node in graph.nodes}
    nodes = [node for node in graph.nodes if isinstance(value_of(node), (Tensor, tuple, list))]
    reads, in_memory = find_reads(nodes, roles)
    scheduler = _Scheduler()
    sources: dict[Node, set[Node]] = {}  # tensors in memory that are read for results in memory
    for node in nodes:
        if roles[node] == "library":
            sources[node] = {base_of(x) for x in node.all_input_nodes}
            scheduler.pass_library(node)
        elif roles[node] == "reduction" or node in in_memory:
            sources[node] = {read.source for read in reads[node]}
            scheduler.place(node, reads[node])
    outputs = {base_of(x) for node in graph.nodes if roles[node] == "output"
               for x in node.all_input_nodes}  # fmt: skip
    libraries = [node for node in nodes if roles[node] == "library"]
    needed = outputs.union(*(sources[node] for node in libraries))
    operations = [_library_operation(node) for node in libraries]
    for kernel in scheduler.kernels:
        others = (x.source for other in scheduler.kernels if other is not kernel
                  for x in other.reads)  # fmt: skip
        operations.append(kernel.operation(needed.union(others)))
    return FusedGraph(operations, _temporary_bytes(sources, outputs))


def _temporary_bytes(sources: dict[Node, set[Node]], outputs: set[Node]) -> int:
    """Return the largest sum of results that are neither inputs nor outputs of the graph."""
    order = list(sources)
    last = {source: place for place, node in enumerate(order) for source in sources[node]}
    ending: dict[int, list[Node]] = defaultdict(list)
    live = peak = 0
    for place, node in enumerate(order):
        for result in results_of(node):
            if result in last and result not in outputs:
                live += size_of(result)
                ending[last[result]].append(result)
        peak = max(peak, live)
        live -= sum(map(size_of, ending[place]))
    return peak


def _extent(root: Any) -> tuple[int, int, int]:
    """Return ``elements``, ``rows`` and ``columns`` of the kernel of one result."""
    results = value_of(results_of(root)[0]).numel()
    if role(root) != "reduction":
        return results, 0, 0
    argument = value_of(root.args[0])
    dims = root.args[1] if len(root.args) > 1 and root.args[1] is not None else []
    dims = [dims] if isinstance(dims, int) else list(dims) or list(range(argument.dim()))
    reduced = {dim % argument.dim() for dim in dims} or {0}
    kept = [dim for dim in range(argument.dim()) if dim not in reduced and argument.shape[dim] > 1]
    by_columns = any(dim > min(reduced) for dim in kept)
    return argument.numel(), *((0, results) if by_columns else (results, 0))


def _library_operation(node: Node) -> Operation:
    args, kwargs = map_arg(node.args, value_of), map_arg(node.kwargs, value_of)
    return describe_operation("", node.target, args, kwargs, value_of(node))
