"""Operations of a program on a GPU, recorded without a GPU.

The device ``meta`` stands for the GPU: its tensors have shapes, strides and types, but no values.
Tensors on the CPU are real.
"""

import weakref
from dataclasses import dataclass
from typing import Any

import torch
import torch._meta_registrations
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from .kernel_cost import kernel_work

VIEWS = {"_unsafe_view", "_reshape_alias", "lift_fresh"}
"""Operations without a kernel, in addition to those that PyTorch marks as views."""
_NO_LAUNCH = {"set_", "device", "is_pinned", "record_stream", "empty", "empty_like",
              "empty_strided", "new_empty", "new_empty_strided", "sym_size", "sym_numel",
              *VIEWS}  # fmt: skip
# kernels of CUDA's implementations that consist of several
_LAUNCHES = dict(
    _scaled_dot_product_cudnn_attention_backward=3,
    _scaled_dot_product_efficient_attention_backward=3,
    _scaled_dot_product_flash_attention_backward=3,
    argsort=4,
    convolution_backward=3,
    index_put=8,
    index_put_=8,
    _index_put_impl_=8,
    native_layer_norm_backward=2,
    sort=4,
)
# their output's size or value depends on the data, so the host waits for the GPU
_WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "equal",
            "bincount", "is_nonzero"}  # fmt: skip
# limits of PyTorch's kernels for lists of tensors: tensors, chunks and elements per chunk
_LIST_TENSORS, _LIST_CHUNKS, _LIST_CHUNK = 36, 320, 65536


@dataclass(frozen=True)
class Operation:
    """Operation on a GPU."""

    phase: str
    """Part of the training step that runs it."""
    name: str
    """Name in PyTorch's ``aten``."""
    launches: int
    """Kernels that it starts."""
    bytes: int
    """Bytes read and written; expanded dimensions count once."""
    flops: int
    """Floating-point operations of matrix products, convolutions and attention."""
    is_float32: bool
    """True if its first tensor has this type."""
    repeated_flops: int = 0
    """Operations that compute other results again; they take time and do not count for the MFU."""


class GpuTrace(TorchDispatchMode):
    """Context manager that records the operations on the device ``meta``.

    A number or a tensor that the host reads from the device is zero.

    Attributes:
        operations: recorded operations, in order.
        waits: phase and cause of each place where the host waits for the GPU.
        phase: part of the training step, copied into each operation; set by the caller.
        live_bytes: bytes of all tensors on the GPU.
        peak_bytes: their maximum.
        is_paused: whether operations are run, but not recorded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.phase = ""
        self.is_paused = False
        self.live_bytes = self.peak_bytes = 0
        self._known: dict[int, weakref.ref] = {}
        self.reset()

    def reset(self) -> None:
        """Forget operations and waits, and start the peak at the present memory."""
        self.operations: list[Operation] = []
        self.waits: list[tuple[str, str]] = []
        self.peak_bytes = self.live_bytes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Run and record an operation."""
        kwargs = kwargs or {}
        if self.is_paused:
            return func(*args, **kwargs)
        inputs = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
        name = func.overloadpacket.__name__
        self._record_wait(name, args, kwargs, inputs)
        if name == "_local_scalar_dense" and args[0].is_meta:
            return torch.zeros((), dtype=args[0].dtype).item()
        if name == "_to_copy" and args[0].is_meta and str(kwargs.get("device")) == "cpu":
            output = torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        elif name == "copy_" and args[1].is_meta and not args[0].is_meta:
            output = args[0].zero_()
        else:
            output = func(*args, **kwargs)
        outputs = [x for x in tree_iter(output) if isinstance(x, Tensor)]
        if any(x.is_meta for x in [*inputs, *outputs]):
            self._track(outputs)
            if not (func.is_view or name in _NO_LAUNCH):
                self.operations.append(describe_operation(self.phase, func, args, kwargs, output))
        return output

    def _record_wait(self, name: str, args: tuple, kwargs: dict, inputs: list[Tensor]) -> None:
        devices = {x.device.type for x in inputs}
        if name in ("_to_copy", "copy_"):
            target = torch.device(kwargs.get("device") or inputs[0].device).type
            is_async = kwargs.get("non_blocking") or (name == "copy_" and args[2:] == (True,))
            if devices | {target} != {"cpu", "meta"}:
                return
            if not is_async:
                self.waits.append((self.phase, "a blocking copy between CPU and GPU"))
            elif target == "cpu":
                self.waits.append((self.phase, "an asynchronous copy to the CPU, read later"))
        elif name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            indices = [x for x in args[1] if x is not None]
            if args[0].is_meta and not all(x.is_meta and self._is_known(x) for x in indices):
                self.waits.append((self.phase, "an index from the CPU, such as a list"))
            if args[0].is_meta and any(x.dtype == torch.bool for x in indices):
                self.waits.append((self.phase, "an index of bools"))
        elif name in _WAITING and "meta" in devices:
            cause = "a number is read (item)" if name == "_local_scalar_dense" else name
            self.waits.append((self.phase, cause))

    def _track(self, outputs: list[Tensor]) -> None:
        """Count the memory of new storages until they are freed."""
        for tensor in outputs:
            if not tensor.is_meta:
                continue
            if self._is_known(tensor):
                continue
            storage = tensor.untyped_storage()
            size = storage.nbytes()
            self._known[storage._cdata] = weakref.ref(storage)
            weakref.finalize(storage, self._free, size)
            self.live_bytes += size
            self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def _is_known(self, tensor: Tensor) -> bool:
        """Return whether a recorded operation made the memory of a tensor."""
        known = self._known.get(tensor.untyped_storage()._cdata)
        return known is not None and known() is not None

    def _free(self, size: int) -> None:
        self.live_bytes -= size


def describe_operation(phase: str, func: Any, args: Any, kwargs: Any, output: Any) -> Operation:
    """Describe the call of an operation of ATen on the device ``meta``."""
    name = func.overloadpacket.__name__
    inputs = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
    outputs = [x for x in tree_iter(output) if isinstance(x, Tensor)]
    tensors = [x for x in [*inputs, *(outputs or _written(func, args))] if x.is_meta]
    count = flop_registry.get(func._overloadpacket)
    launches = _LAUNCHES.get(name, 1)
    if name.startswith(("_foreach", "_fused")):
        launches = _list_launches(args[0])
    flops = count(*args, **kwargs, out_val=output) if count else 0
    work = kernel_work(name, args)
    return Operation(
        phase,
        name,
        launches if work is None else work.launches,
        sum(map(touched_bytes, tensors)) + (0 if work is None else work.bytes),
        flops,
        tensors[0].dtype == torch.float32,
        0 if work is None else int(work.products * flops),
    )


def _written(func: Any, args: tuple) -> list[Tensor]:
    """Return the tensors that an operation changes in place."""
    pairs = zip(func._schema.arguments, args, strict=False)
    changed = [arg for spec, arg in pairs if spec.alias_info and spec.alias_info.is_write]
    return [x for x in tree_iter(changed) if isinstance(x, Tensor)]


def touched_bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor; expanded dimensions count once."""
    count = 1
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride else 1
    return count * tensor.element_size()


def _list_launches(tensors: list[Tensor]) -> int:
    chunks = sum(-(-x.numel() // _LIST_CHUNK) for x in tensors)
    return max(1, -(-len(tensors) // _LIST_TENSORS), -(-chunks // _LIST_CHUNKS))
