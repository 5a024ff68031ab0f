"""Strict version of MMEngine's ``Pretrained`` initialization for this package's backbones."""

from mmengine.model.weight_init import PretrainedInit, update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS
from torch import nn

from ..config import resolve_type
from .inflation import Inflation
from .pretrained import load_pretrained
from .registry import SCOPE, WEIGHT_INITIALIZERS

_NAME = "Pretrained"


@WEIGHT_INITIALIZERS.register_module(name=_NAME)
class StrictPretrainedInit:
    """Initializer of MMEngine that loads a backbone's weights with :func:`load_pretrained`.

    MMEngine's own ``PretrainedInit`` only warns if no tensor fits, and training then starts from
    random weights.

    Args:
        checkpoint: path or address of the file.
        prefix: beginning of the encoder's names in the file.
        map_location: ignored, and present for compatibility with MMEngine; tensors are read on the
            CPU and copied to the parameters' device.
        inflate: see :func:`inflate_channels`; None for images with as many channels as in the file.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        map_location: str = "cpu",
        inflate: Inflation | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.inflate = inflate

    def __call__(self, module: nn.Module) -> None:
        """Load ``module`` and record this as MMEngine does.

        Raises:
            CheckpointError: see :func:`load_pretrained`.
        """
        load_pretrained(module, self.checkpoint, self.prefix, self.inflate)
        if hasattr(module, "_params_init_info"):
            update_init_info(module, init_info=f"Pretrained: loaded from {self.checkpoint}")


def pretrained_entries(init_cfg: dict | list[dict] | None) -> list[dict]:
    """Return the entries of ``init_cfg`` with the type ``Pretrained``."""
    return [cfg for cfg in _entries(init_cfg) if _is_pretrained(cfg)]


def strict_init_cfg(init_cfg: dict | list[dict] | None) -> dict | list[dict] | None:
    """Replace MMEngine's ``Pretrained`` in ``init_cfg`` by :class:`StrictPretrainedInit`.

    MMEngine loads it after all other entries, and after the children of the module are initialized.
    """
    pretrained = pretrained_entries(init_cfg)
    if not pretrained:
        return init_cfg
    others = [cfg for cfg in _entries(init_cfg) if not _is_pretrained(cfg)]
    return others + [{**cfg, "type": _NAME, "_scope_": SCOPE} for cfg in pretrained]


def _entries(init_cfg: dict | list[dict] | None) -> list[dict]:
    return [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or ())


def _is_pretrained(cfg: dict) -> bool:
    return resolve_type(cfg.get("type"), ROOT_WEIGHT_INITIALIZERS) is PretrainedInit
