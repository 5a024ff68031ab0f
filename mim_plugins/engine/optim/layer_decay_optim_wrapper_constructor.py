"""Parameter groups with weight-decay exemptions and layer-wise learning rates."""

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIMIZERS
from torch import nn

from ...registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Group parameters by learning rate and weight decay.

    Weight decay follows timm's rule, as in the code of the MixMAE and MAE authors. Exempt are
    biases, one-dimensional parameters (norms) and parameters listed by ``no_weight_decay()`` of a
    module (mask token). The two-dimensional relative position bias tables are decayed.

    With a ``layer_decay_rate`` below 1, the learning rate of a backbone parameter of depth ``d``
    out of ``n`` is scaled by ``rate ** (n - 1 - d)`` (ELECTRA, BEiT). The depth comes from
    ``get_layer_depth`` of the submodule that contains the parameter, so any model is supported.
    Parameters outside such a submodule (heads, necks, decoders) keep the full rate. (The MixMAE
    authors' code uses the last block's rate for the classification head; here the head has the
    full rate, as in BEiT and mmpretrain.)

    Parameters with equal settings share a group, so an optimizer has tens of groups, not hundreds.

    Args:
        optim_wrapper_cfg: MMEngine's config of the wrapper, with ``optimizer.lr``.
        paramwise_cfg: optional ``layer_decay_rate``, by default 1.0.

    Raises:
        ValueError: the rate is outside (0, 1], there is another key, the optimizer is not
            registered, or the rate is below 1 and no submodule has ``get_layer_depth``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # with an empty paramwise_cfg, MMEngine would skip the grouping
        paramwise_cfg = dict(layer_decay_rate=1.0) | dict(paramwise_cfg or {})
        # MMEngine's Config keeps _delete_ if the base config has no paramwise_cfg
        paramwise_cfg.pop("_delete_", None)
        rate = paramwise_cfg["layer_decay_rate"]
        if set(paramwise_cfg) != {"layer_decay_rate"} or not 0 < rate <= 1:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: paramwise_cfg={paramwise_cfg} must contain"
                " only layer_decay_rate, above 0 and at most 1"
            )
        kind = (optim_wrapper_cfg.get("optimizer") or {}).get("type")
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: optimizer.type='{kind}' is not registered;"
                " use a registered name such as AdamW, or import its module with custom_imports"
            )
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def add_params(self, params: list[dict], module: nn.Module, **_: object) -> None:
        """Append the groups of all trainable parameters of ``module`` to ``params``."""
        rate = self.paramwise_cfg["layer_decay_rate"]
        layered = {
            name: child for name, child in module.named_modules()
            if name and hasattr(child, "get_layer_depth")
        }  # fmt: skip
        if rate < 1 and not layered:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: layer_decay_rate={rate}, but no submodule of"
                f" {type(module).__name__} has get_layer_depth; use one of this package's"
                " backbones, or set layer_decay_rate=1.0"
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
            is_exempt = param.ndim <= 1 or name.endswith(".bias") or name in exempt
            decay = 0.0 if is_exempt else (self.base_wd or 0.0)
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
    """Return the number of layers between a parameter and the head, 0 outside ``layered``."""
    for prefix, module in layered.items():
        if name.startswith(prefix + "."):
            depth, num_depths = module.get_layer_depth(name, prefix + ".")
            return num_depths - 1 - depth
    return 0
