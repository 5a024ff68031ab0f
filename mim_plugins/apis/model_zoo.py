"""The configs of this package by name."""

import difflib
from fnmatch import fnmatch
from pathlib import Path

from mmengine.config import Config

from ..config import merge_options
from ..errors import ConfigError
from ..paths import CONFIG_DIR


def list_models(pattern: str | None = None) -> list[str]:
    """Names of the configs of this package, such as ``'mixmae/swin_b_600e'``, in sorted order.

    ``pattern`` may hold ``*`` and ``?``, as in ``'mrmae/*finetune*'``; None lists all.
    """
    names = sorted(
        file.relative_to(CONFIG_DIR).with_suffix("").as_posix()
        for file in CONFIG_DIR.rglob("*.py")
        if not any(part.startswith("_") for part in file.relative_to(CONFIG_DIR).parts)
    )
    return [name for name in names if pattern is None or fnmatch(name, pattern)]


def find_config(name: str | Path) -> Path:
    """The config file of a name of :func:`list_models`, or of a path.

    The folders of a name may be left out where the rest names one config only
    (``'swin_b_600e'``).

    Raises:
        FileNotFoundError: there is no such config; similar ones are named.
        ValueError: there are several.
    """
    if Path(name).is_file():
        return Path(name)
    names = list_models()
    wanted = Path(name).as_posix().removesuffix(".py")
    matches = [full for full in names if full == wanted] or [
        full for full in names if full.endswith(f"/{wanted}")
    ]
    if len(matches) > 1:
        raise ValueError(f"'{name}' names several configs: {', '.join(matches)}; give one in full")
    if not matches:
        last_parts = [full.rpartition("/")[2] for full in names]
        near = difflib.get_close_matches(wanted, [*names, *last_parts], n=4, cutoff=0.5)
        hint = f"; similar ones: {', '.join(near)}" if near else ""
        raise FileNotFoundError(
            f"'{name}' is neither a config file nor a name of mim_plugins.list_models(){hint}"
        )
    return CONFIG_DIR / f"{matches[0]}.py"


def read_config(name: str | Path) -> Config:
    """The config of a file or of a name, see :func:`find_config`.

    Raises:
        FileNotFoundError: there is no such config, or one that it is based on.
        ConfigError: it is no valid config.
    """
    path = find_config(name)
    try:
        return Config.fromfile(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # configs are programs
        remedy = "" if isinstance(error, ImportError) else "; mend it"
        raise ConfigError(f"config '{path}': {_reason(error)}{remedy}") from error


def override_config(cfg: Config, options: dict | None) -> None:
    """Apply changes such as ``{'model.backbone.img_size': 192}``, see :func:`merge_options`.

    Raises:
        ConfigError: one of them does not fit the config, or changes nothing; the config is then as
            before.
    """
    try:
        merge_options(cfg, options or {})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else _reason(error)
        where = f" (config '{cfg.filename}')" if cfg.filename else ""
        raise ConfigError(f"option {reason}{where}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, KeyError) and error.args:
        return f"KeyError: {error.args[0]}"
    return f"{type(error).__name__}: {error}"
