"""Parameter groups with weight-decay exemptions and layer-wise learning rates."""

from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIMIZERS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from ...errors import ConfigError
from ...registry import OPTIM_WRAPPER_CONSTRUCTORS
from ...wording import counted

_DEFAULTS = dict(layer_decay_rate=1.0, head_depth=-1, decay_tokens=False, decay_biases=False)
_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)  # as in MMEngine's constructor


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Group parameters by learning rate and weight decay.

    Biases and one-dimensional parameters (norms) have no weight decay, as in timm. The
    two-dimensional relative position bias tables have it. With ``decay_biases``, biases outside
    norms have it too, as in detectron2 and in ViTDet's public config. ``decay_tokens`` determines
    the weight decay of the parameters that ``no_weight_decay()`` of a module lists: [CLS] token,
    mask token, learned position embedding. The code of the MAE, MCMAE and MixMAE authors decays
    them in pre-training and exempts them in fine-tuning.

    With a ``layer_decay_rate`` below 1, the learning rate of a backbone parameter of depth ``d``
    out of ``n`` is scaled by ``rate ** (n - 1 - d)`` (ELECTRA, BEiT). The depth comes from
    ``get_layer_depth`` of the submodule that contains the parameter, so any model is supported.
    Parameters outside such a submodule (heads, necks, decoders) have the depth ``head_depth``.

    Parameters with equal settings share a group, so an optimizer has tens of groups, not hundreds.

    Args:
        optim_wrapper_cfg: MMEngine's config of the wrapper, with ``optimizer.lr``. Without
            ``optimizer.weight_decay``, the default of the optimizer applies.
        paramwise_cfg: optional settings:

            - ``layer_decay_rate``: above 0 and at most 1; 1.0 by default.
            - ``head_depth``: depth of the head, counted from the last. -1, the default, is the
              depth above the last block, with the full rate, as in MAE and BEiT. -2 is the depth of
              the last block, as in the code of the MixMAE authors.
            - ``decay_tokens``: decay tokens and learned position embeddings; False by default.
            - ``decay_biases``: decay biases, except those of norms; False by default.

    Raises:
        ValueError: a setting is unknown or not allowed, the optimizer is not registered or has no
            ``lr``, or the rate is below 1 and no submodule has ``get_layer_depth``.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        # with an empty paramwise_cfg, MMEngine would skip the grouping
        paramwise_cfg = _DEFAULTS | dict(paramwise_cfg or {})
        # MMEngine's Config keeps _delete_ if the base config has no paramwise_cfg
        paramwise_cfg.pop("_delete_", None)
        _check_settings(paramwise_cfg)
        kind = (optim_wrapper_cfg.get("optimizer") or {}).get("type")
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: optimizer.type='{kind}' is not registered;"
                " use a registered name such as AdamW, or import its module with custom_imports"
            )
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        if self.base_lr is None:
            raise ConfigError(
                "LayerDecayOptimWrapperConstructor: optimizer.lr=None must be a number; set"
                " optim_wrapper.optimizer.lr"
            )

    def add_params(self, params: list[dict], module: nn.Module, **_: object) -> None:
        """Append the groups of all trainable parameters of ``module`` to ``params``."""
        rate = self.paramwise_cfg["layer_decay_rate"]
        layered = {
            name: child for name, child in module.named_modules()
            if name and _has_depths(child)
        }  # fmt: skip
        if rate < 1 and not layered:
            raise ValueError(
                f"LayerDecayOptimWrapperConstructor: layer_decay_rate={rate}, but no submodule of"
                f" {type(module).__name__} has get_layer_depth; use one of this package's"
                " backbones, or set layer_decay_rate=1.0"
            )
        exempt = set() if self.paramwise_cfg["decay_tokens"] else _listed_parameters(module)
        exempt &= {name for name, param in module.named_parameters() if param.requires_grad}
        biases = _biases(module) if self.paramwise_cfg["decay_biases"] else set()
        above_head = -1 - self.paramwise_cfg["head_depth"]
        groups: dict[tuple[float, float | None], dict] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            scale = 1.0 if rate == 1 else rate ** _depths_above(name, layered, above_head)
            is_small = param.ndim <= 1 or name.endswith(".bias")
            is_exempt = (is_small and name not in biases) or name in exempt
            decay = 0.0 if is_exempt else self.base_wd
            group = groups.setdefault(
                (scale, decay),
                dict(params=[], lr=self.base_lr * scale, lr_scale=scale),
            )
            if decay is not None:  # otherwise the optimizer sets its default
                group["weight_decay"] = decay
            group["params"].append(param)
        params.extend(groups.values())
        scales = sorted({scale for scale, _ in groups})
        without = "norms" if biases else "biases and norms"
        if exempt:
            without = without.replace(" and", ",") + ", tokens and position embeddings"
        decay = "of the optimizer's default" if self.base_wd is None else self.base_wd
        print_log(
            f"{counted(len(groups), 'parameter group')}, learning rate scales {scales[0]:.3g} to"
            f" {scales[-1]:.3g}, weight decay {decay} (none on {without})",
            logger="current",
        )


def _check_settings(settings: dict) -> None:
    rate = settings["layer_decay_rate"]
    is_allowed = (
        set(settings) == set(_DEFAULTS)
        and isinstance(rate, (int, float))
        and 0 < rate <= 1
        and settings["head_depth"] in (-1, -2)
        and isinstance(settings["decay_tokens"], bool)
        and isinstance(settings["decay_biases"], bool)
    )
    if not is_allowed:
        raise ValueError(
            f"LayerDecayOptimWrapperConstructor: paramwise_cfg={settings} may contain only"
            " layer_decay_rate (above 0 and at most 1), head_depth (-1 or -2), decay_tokens"
            " and decay_biases (True or False)"
        )


def _has_depths(module: nn.Module) -> bool:
    """Return whether a module has layer depths itself, not as a wrapper of the one that does."""
    function = getattr(module, "get_layer_depth", None)
    return function is not None and getattr(function, "__self__", module) is module


def _listed_parameters(module: nn.Module) -> set[str]:
    """Return the names of the parameters that ``no_weight_decay()`` of a submodule lists."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, child in module.named_modules()
        for name in getattr(child, "no_weight_decay", set)()
    }


def _biases(module: nn.Module) -> set[str]:
    """Return the names of the biases outside norms."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, child in module.named_modules()
        if not isinstance(child, _NORMS)
        for name, _ in child.named_parameters(recurse=False)
        if name.endswith("bias")
    }


def _depths_above(name: str, layered: dict[str, Any], above_head: int) -> int:
    """Return the number of depths above a parameter's; ``above_head`` outside ``layered``."""
    for prefix, module in layered.items():
        if name.startswith(prefix + "."):
            depth, num_depths = module.get_layer_depth(name, prefix + ".")
            return num_depths - 1 - depth
    return above_head
