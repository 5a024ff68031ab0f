"""Memory reads of the operations in a graph of AOTAutograd, after the fusion by Inductor."""

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.utils._pytree import tree_leaves

from .gpu_trace import VIEWS, touched_bytes

_REDUCTIONS = {"all", "amax", "amin", "any", "argmax", "argmin", "max", "mean", "min", "prod",
               "sum", "var", "var_mean"}  # fmt: skip
_SELECTIONS = {"_unsafe_index", "embedding", "gather", "index", "index_select"}
# element by element as well, without PyTorch's tag
_ELEMENTWISE = {"_to_copy", "arange", "bernoulli", "cat", "clone", "constant_pad_nd", "copy",
                "copy_", "empty", "flip", "full", "full_like", "roll", "scalar_tensor",
                "select_scatter", "slice_scatter", *_SELECTIONS}  # fmt: skip
_REORDERING = {"flip", "permute", "roll", "t", "transpose", *_SELECTIONS}
# Inductor's realize_reads_threshold and realize_acc_reads_threshold
_REUSED_READS, _ACCUMULATED_READS = 4, 8


@dataclass(frozen=True)
class Read:
    """Tensor in memory that an expression reads."""

    source: Node
    """Input, or result of an operation."""
    view: Node
    """The last view through which it is read, or ``source``."""
    bytes: int
    """Bytes that are read; at most those of the view."""
    reordered: bool
    """Whether its elements are read in another order than that of memory."""


def find_reads(
    nodes: list[Node], roles: dict[Node, str]
) -> tuple[dict[Node, frozenset[Read]], set[Node]]:
    """Return what generated operations read, and the element-wise results that are in memory."""
    reads: dict[Node, frozenset[Read]] = {}
    in_memory: set[Node] = set()

    def seen(node: Any) -> frozenset[Read]:
        """Return what a user of the node reads."""
        if roles[node] == "view":
            inner = seen(node.args[0])
            return inner if not isinstance(value_of(node), Tensor) else _within(inner, node)
        if roles[node] == "elementwise" and node not in in_memory:
            return reads[node]
        return frozenset([Read(node, node, size_of(node), False)])

    for node in nodes:
        if roles[node] in ("elementwise", "reduction"):
            found = [seen(x) for x in node.all_input_nodes]
            if name_of(node) in _SELECTIONS:
                found[0] = _within(found[0], node)
            reads[node] = frozenset().union(*found)
            users = _users(node, roles)
            is_input = name_of(node) == "copy_" or any(
                roles[user] in ("library", "output") for user in users
            )
            is_reused = len(users) > 1 and len(reads[node]) > _REUSED_READS
            is_long = len(reads[node]) > _ACCUMULATED_READS
            if roles[node] == "elementwise" and (
                is_input or is_reused or is_long or name_of(node) == "copy_"
            ):
                in_memory.add(node)
    return reads, in_memory


def _within(reads: frozenset[Read], view: Node) -> frozenset[Read]:
    """Return what is read through a view or a selection."""
    elements, reordered = value_of(view).numel(), name_of(view) in _REORDERING
    return frozenset(
        Read(
            read.source,
            view,
            min(read.bytes, elements * value_of(read.source).element_size()),
            read.reordered or reordered,
        )
        for read in reads
    )


def role(node: Any) -> str:
    """Return the role of a node.

    It is ``input`` or ``output`` of the graph, ``view`` of a tensor in memory, ``item`` of several
    results, ``elementwise``, ``reduction`` or ``library`` for all operations that are not fused.
    """
    if node.op != "call_function":
        return "output" if node.op == "output" else "input"
    if node.target is operator.getitem:
        return "view" if role(node.args[0]) == "view" else "item"
    name, tags = name_of(node), node.target.tags
    if node.target.is_view or name in VIEWS or is_idle_copy(node):
        return "view"
    if torch.Tag.pointwise in tags or name in _ELEMENTWISE or node.target.namespace == "prims":
        return "elementwise"
    return "reduction" if name in _REDUCTIONS else "library"


def is_view(node: Any) -> bool:
    """Return whether a node shares the memory of its first argument."""
    return role(node) == "view"


def is_idle_copy(node: Any) -> bool:
    """Return whether Inductor removes a copy, because it changes nothing."""
    if node.op != "call_function" or name_of(node) not in ("clone", "_to_copy"):
        return False
    before, after = value_of(node.args[0]), value_of(node)
    return (before.dtype, before.stride()) == (after.dtype, after.stride())


def _users(node: Node, roles: dict[Node, str]) -> set[Node]:
    """Return the operations that use a result, directly or through views."""
    return {
        each
        for user in node.users
        for each in (_users(user, roles) if roles[user] == "view" else [user])
    }


def producer_of(node: Any) -> Node:
    """Return the operation of a result, which may be one of several, or in a list of them."""
    while node.target is operator.getitem:
        node = node.args[0]
    return node


def results_of(node: Node) -> list[Node]:
    """Return the tensors in which an operation results."""
    if isinstance(value_of(node), Tensor):
        return [node]
    return [result for user in node.users for result in results_of(user)]


def value_of(node: Any) -> Any:
    """Return the result of a node: a tensor without values, or several."""
    return node.meta.get("val")


def name_of(node: Any) -> str:
    """Return the name of an operation in PyTorch's ``aten`` or ``prims``."""
    packet = getattr(node.target, "overloadpacket", node.target)
    return packet.__name__


def size_of(node: Node) -> int:
    """Return the bytes of the result of a node; expanded dimensions count once."""
    return sum(map(touched_bytes, tree_leaves(value_of(node))))


def base_of(node: Any) -> Node:
    """Return the node whose memory a view shares."""
    while role(node) == "view":
        node = node.args[0]
    return node
