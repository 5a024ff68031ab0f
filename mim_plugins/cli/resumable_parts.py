"""Replacement of MMEngine's loops and checkpoint hook with this package's, in any config."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS, LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from ..config import hook_configs, resolve_type
from ..errors import ConfigError

_RESUMABLE = {
    EpochBasedTrainLoop: "mim_plugins.ResumableEpochLoop",
    IterBasedTrainLoop: "mim_plugins.ResumableIterLoop",
}
_BY_EPOCH = {True: EpochBasedTrainLoop, False: IterBasedTrainLoop}
_HOOK = "mim_plugins.AtomicCheckpointHook"


def enable_exact_resume(cfg: Config) -> str | None:
    """Replace MMEngine's loop and checkpoint hook and return a message if anything changed.

    The replacements accept the same arguments, so the config of any project resumes exactly. Types
    may be names with or without a scope, classes, or MMEngine's defaults. Subclasses are not
    replaced.

    Raises:
        ConfigError: ``train_cfg`` defines no loop.
    """
    changes = [*_replace_loop(cfg), *_replace_checkpoint_hooks(cfg)]
    notes = [f"for exact resuming (docs/reliability.md): {', '.join(changes)}"] if changes else []
    notes += [
        f"{place} is an object, so MMEngine's CheckpointHook is not replaced: use"
        f" dict(type='{_HOOK}', ...) for exact resuming"
        for place, hook in hook_configs(cfg).items()
        if type(hook) is CheckpointHook
    ]
    return "; ".join(notes) or None


def _replace_loop(cfg: Config) -> Iterator[str]:
    loop = cfg.get("train_cfg")
    if not loop:
        return
    by_epoch = loop.pop("by_epoch", None)
    if "type" not in loop and by_epoch is None:
        raise ConfigError(
            f"train_cfg={dict(loop)} defines no loop: add by_epoch=True and max_epochs, or"
            " by_epoch=False and max_iters, or a type"
        )
    named = loop.get("type", _BY_EPOCH[bool(by_epoch)])
    resumable = _RESUMABLE.get(_resolve(cfg, named, LOOPS))
    if resumable is not None:
        loop["type"] = resumable
        yield resumable


def _replace_checkpoint_hooks(cfg: Config) -> Iterator[str]:
    if cfg.get("default_hooks") is None:
        cfg.default_hooks = {}
    # MMEngine's default; None would disable the hook
    cfg.default_hooks.setdefault("checkpoint", dict(type="CheckpointHook", interval=1))
    for hook in hook_configs(cfg).values():
        kind = hook.get("type") if isinstance(hook, dict) else None
        if _resolve(cfg, kind, HOOKS) is CheckpointHook:
            hook["type"] = _HOOK
            yield _HOOK


def _resolve(cfg: Config, kind: Any, registry: Any) -> Any:
    return resolve_type(kind, registry, cfg.get("default_scope"))
