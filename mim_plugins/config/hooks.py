"""Hooks of a config."""

from typing import Any

from mmengine.config import Config


def hook_configs(cfg: Config) -> dict[str, Any]:
    """Return the configs or objects of all hooks by config field, such as ``default_hooks.knn``."""
    named = (cfg.get("default_hooks") or {}).items()
    return {f"default_hooks.{name}": hook for name, hook in named} | {
        f"custom_hooks.{index}": hook for index, hook in enumerate(cfg.get("custom_hooks") or ())
    }
