"""Parameter groups: weight-decay exemptions and layer-wise learning rates."""

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIMIZERS
from torch import nn

from ...registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Group parameters by learning rate and weight decay.

    Weight decay follows timm's rule, as the MixMAE and MAE authors' code does: biases, parameters
    of one dimension (norms) and those that a module names in ``no_weight_decay()`` (the mask
    token) are exempt; the two-dimensional relative position bias tables are not.

    With a ``layer_decay_rate`` below 1, the learning rate of a backbone parameter of depth ``d``
    out of ``n`` is scaled by ``rate ** (n - 1 - d)`` (ELECTRA, BEiT). Depths come from the
    ``get_layer_depth`` of the sub-module that holds the parameter, so that it works in any model;
    everything outside (heads, necks, decoders) keeps the full rate. (The MixMAE authors' code
    gives the classification head the last block's rate; here, as in BEiT and mmpretrain, it has
    the full one.)

    Parameters with equal settings share a group: an optimizer has tens of groups, not hundreds.

    Args:
        optim_wrapper_cfg: MMEngine's, with an ``optimizer`` that states ``lr``.
        paramwise_cfg: may hold ``layer_decay_rate``, 1.0 if left out.

    Raises:
        ValueError: a rate outside (0, 1], another key, an optimizer that is not registered, or
            layer decay for a model in which no sub-module has ``get_layer_depth``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # an empty paramwise_cfg would make MMEngine skip the grouping
        paramwise_cfg = dict(layer_decay_rate=1.0) | dict(paramwise_cfg or {})
        # MMEngine's Config leaves it there if the base config has no paramwise_cfg to replace
        paramwise_cfg.pop("_delete_", None)
        rate = paramwise_cfg["layer_decay_rate"]
        if set(paramwise_cfg) != {"layer_decay_rate"} or not 0 < rate <= 1:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: paramwise_cfg={paramwise_cfg} may hold only"
                " layer_decay_rate, above 0 and at most 1"
            )
        kind = (optim_wrapper_cfg.get("optimizer") or {}).get("type")
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: optimizer.type='{kind}' is not registered;"
                " correct it (such as AdamW), or import what defines it with custom_imports"
            )
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def add_params(self, params: list[dict], module: nn.Module, **_: object) -> None:
        """Fill ``params`` with the groups of all trainable parameters of ``module``."""
        rate = self.paramwise_cfg["layer_decay_rate"]
        layered = {
            name: child for name, child in module.named_modules()
            if name and hasattr(child, "get_layer_depth")
        }  # fmt: skip
        if rate < 1 and not layered:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: layer_decay_rate={rate}, but no sub-module of"
                f" {type(module).__name__} has get_layer_depth; use a backbone that has, or 1.0"
            )
        exempt = {
            f"{prefix}.{name}" if prefix else name
            for prefix, child in module.named_modules()
            for name in getattr(child, "no_weight_decay", set)()
        }
        groups: dict[tuple[float, float], dict] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            scale = rate ** _distance_to_head(name, layered)
            spared = param.ndim <= 1 or name.endswith(".bias") or name in exempt
            decay = 0.0 if spared else (self.base_wd or 0.0)
            group = groups.setdefault(
                (scale, decay),
                dict(params=[], lr=self.base_lr * scale, weight_decay=decay, lr_scale=scale),
            )
            group["params"].append(param)
        params.extend(groups.values())
        scales = sorted({scale for scale, _ in groups})
        print_log(
            f"{len(groups)} parameter groups, learning rate scales {scales[0]:.3g} to"
            f" {scales[-1]:.3g}, weight decay {self.base_wd} (none on biases and norms)",
            logger="current",
        )


def _distance_to_head(name: str, layered: dict[str, Any]) -> int:
    """Layers between a parameter and the head; 0 outside every module that knows its depths."""
    for prefix, module in layered.items():
        if name.startswith(prefix + "."):
            depth, num_depths = module.get_layer_depth(name, prefix + ".")
            return num_depths - 1 - depth
    return 0
