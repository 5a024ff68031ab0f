"""Checks that the tensors of a file can be used as weights."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..wording import listed

_PLAIN_TYPES = (Tensor, nn.Parameter)
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
# last parts of the names of integer buffers, for files whose model is unknown
_INTEGER_BUFFERS = ("num_batches_tracked", "relative_position_index", "position_ids")
_EXPANDED_BYTES = 2**24  # a view may repeat its storage up to this size


def require_plain(tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Check that all tensors are dense, store their own values and fit into memory.

    Raises:
        CheckpointError: a tensor is sparse, nested, quantized, on the meta device or otherwise
            special, or has far more elements than the file has values.
    """
    found = [
        f"{name} ({kind})" for name, tensor in tensors.items() if (kind := special_kind(tensor))
    ]
    if found:
        raise CheckpointError(
            f"'{source}' contains {len(found)} tensors that are not plain arrays of numbers:"
            f" {listed(found)}; get dense weights, saved by torch.save(model.state_dict(), ...),"
            " from its author"
        )


def require_weights(
    given: Mapping[str, Tensor],
    source: str | Path,
    own: Mapping[str, Tensor] | None = None,
    infinite: Collection[str] = (),
) -> None:
    """Check that tensors can be copied into a model without changing their values.

    Args:
        given: tensors of a file, under the model's names.
        source: name of the file, for messages.
        own: the model's tensors; other names are not checked. None without a model: all tensors
            except well-known buffers must then be floats within float32's range.
        infinite: names of tensors that may contain infinite values, but no NaN.

    Raises:
        CheckpointError: a tensor is of another kind (integers instead of floats, complex numbers,
            8-bit floats), exceeds the range of the model's type, or is not finite.
    """
    problem = find_wrong_kinds(given, own) or _find_wrong_values(given, own, infinite)
    if problem:
        raise CheckpointError(f"'{source}' {problem}")


def find_wrong_kinds(given: Mapping[str, Tensor], own: Mapping[str, Tensor] | None = None) -> str:
    """Describe tensors of another kind than the model's; ``""`` if none is.

    See :func:`require_weights` for the arguments. Values are not checked.
    """
    found = [
        f"{name} ({_short(tensor.dtype)}, where {_short(wanted)} is expected)"
        for name, tensor, wanted in _with_expected_types(given, own)
        if not _is_same_kind(tensor.dtype, wanted)
    ]
    if not found:
        return ""
    return (
        f"contains {len(found)} tensors of another type than weights: {listed(found)}; give a"
        " file with weights in float16, bfloat16, float32 or float64"
    )


def _find_wrong_values(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor] | None, infinite: Collection[str]
) -> str:
    """Describe values that are not finite or exceed the model's type; ``""`` if none."""
    not_finite, beyond = [], []
    for name, tensor, wanted in _with_expected_types(given, own):
        if wanted in _INTEGERS:
            if tensor.numel() and not _is_within(tensor, torch.iinfo(wanted)):
                beyond.append(f"{name} (beyond {_short(wanted)})")
            continue
        if wanted not in _FLOATS:
            continue
        bad = torch.isnan(tensor) if name in infinite else ~torch.isfinite(tensor)
        if bad.any() and own is not None and own[name].shape == tensor.shape:
            # a buffer may contain infinities by design, such as an attention mask
            bad &= tensor.to(wanted) != own[name].to(tensor.device)
        if bad.any():
            not_finite.append(f"{name} ({_percent(int(bad.sum()), bad.numel())} of its values)")
        elif tensor.dtype != wanted:
            values = tensor[torch.isfinite(tensor)]
            if not torch.isfinite(values.to(wanted)).all():
                largest = values.abs().max().item()
                beyond.append(f"{name} (up to {largest:.1e}, beyond {_short(wanted)})")
            elif lost := _lost_by_underflow(values, wanted):
                beyond.append(f"{name} ({lost:.1e}, which {_short(wanted)} rounds to 0)")
    if not_finite:
        return (
            f"contains NaN or infinite values in {len(not_finite)} of {len(given)} tensors:"
            f" {listed(not_finite)}: its run diverged or the file is corrupt; give an earlier"
            " checkpoint"
        )
    if beyond:
        return (
            f"contains values that exceed the range of the model's type in {len(beyond)} of"
            f" {len(given)} tensors: {listed(beyond)}; the file is corrupt or not a model's; give"
            " another one"
        )
    return ""


def special_kind(tensor: Tensor) -> str:
    """Return how a tensor differs from a plain array; ``""`` if it does not."""
    if type(tensor) not in _PLAIN_TYPES:
        return type(tensor).__name__
    if tensor.is_nested:
        return "nested"
    if tensor.layout != torch.strided:
        return _short(tensor.layout)
    if tensor.is_quantized:
        return f"quantized, {_short(tensor.dtype)}"
    if tensor.device.type == "meta":
        return "on the meta device, without values"
    size = tensor.numel() * tensor.element_size()
    stored = tensor.untyped_storage().nbytes()
    if size > max(stored, _EXPANDED_BYTES):
        return f"{tensor.numel():.1e} elements, of which the file contains {stored} bytes"
    return ""


def _with_expected_types(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor] | None
) -> Iterable[tuple[str, Tensor, torch.dtype]]:
    """Yield name, tensor and the model's type of each tensor that is checked."""
    for name, tensor in given.items():
        if own is not None:
            if name in own:
                yield name, tensor, own[name].dtype
        elif not (tensor.dtype in _INTEGERS and name.rpartition(".")[2] in _INTEGER_BUFFERS):
            yield name, tensor, torch.float32


def _is_same_kind(given: torch.dtype, wanted: torch.dtype) -> bool:
    for kind in (_FLOATS, _INTEGERS):
        if wanted in kind:
            return given in kind
    return given == wanted


def _lost_by_underflow(values: Tensor, wanted: torch.dtype) -> float:
    """Return the largest value of a tensor whose values would all become zero, or 0."""
    largest = values.abs().max().item() if values.numel() else 0.0
    return 0.0 if values.to(wanted).any() else largest


def _is_within(tensor: Tensor, limits: torch.iinfo) -> bool:
    return limits.min <= int(tensor.min()) and int(tensor.max()) <= limits.max


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %"


def _short(kind: torch.dtype | torch.layout) -> str:
    return str(kind).removeprefix("torch.")
