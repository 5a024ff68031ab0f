"""Conversion between complete tensors and those that FSDP2 shards across the processes."""

from typing import Any

from mmengine.dist import is_main_process
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer


def gather_tensors(tensors: dict[Any, Any]) -> dict[Any, Any]:
    """Gather the sharded tensors of a dict on the main process; all processes must call it.

    Returns:
        The complete tensors in main memory by key, without entries that are not sharded. In other
        processes it is empty.
    """
    whole = {}
    for key, value in tensors.items():
        if isinstance(value, DTensor):
            complete = value.full_tensor().detach()
            if is_main_process():
                whole[key] = complete.cpu()
    return whole


def gather_optimizer(optimizer: Optimizer) -> dict[int, dict[str, Any]]:
    """Gather an optimizer's sharded state by the number of each parameter in ``state_dict``."""
    found = {}
    for number, parameter in enumerate(_parameters(optimizer)):
        whole = gather_tensors(optimizer.state.get(parameter, {}))
        if whole:
            found[number] = whole
    return found


def distribute_weights(module: nn.Module, state: dict, prefix: str, *_: Any) -> None:
    """Shard the weights that a module is about to load, in place; all processes must call it.

    All processes receive those of the main process. It is a hook of ``load_state_dict``.
    """
    for name, parameter in module.named_parameters():
        given = state.get(prefix + name)
        if isinstance(given, Tensor):
            state[prefix + name] = _distribute(given, parameter)


def distribute_optimizer(optimizer: Optimizer, state: dict) -> dict:
    """Return an optimizer's state with its tensors sharded like the parameters.

    All processes must call it. It is a hook of ``load_state_dict``.
    """
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    parameters = dict(zip(numbers, _parameters(optimizer), strict=True))
    sharded = {
        number: {name: _distribute(value, parameters[number]) for name, value in entries.items()}
        for number, entries in state["state"].items()
    }
    return state | dict(state=sharded)


def local_part(tensor: Tensor) -> Tensor:
    """Return the part of a tensor in this process, which is the tensor itself if not sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _distribute(value: Any, like: Tensor) -> Any:
    if not isinstance(like, DTensor) or not isinstance(value, Tensor):
        return value
    if isinstance(value, DTensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value.detach().to(like.device), like.device_mesh, like.placements)


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
