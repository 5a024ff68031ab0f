"""Access to the configs of this package by name."""

import difflib
from fnmatch import fnmatch
from pathlib import Path

from mmengine.config import Config

from ..config import merge_options, use_text_paths
from ..errors import ConfigError
from ..paths import CONFIG_DIR

_SUFFIXES = (".py", ".json", ".yaml", ".yml")


def list_models(pattern: str | None = None) -> list[str]:
    """Return the sorted names of this package's configs, such as ``'mixmae/swin_b_600e'``.

    ``pattern`` may contain ``*`` and ``?``, as in ``'mrmae/*finetune*'``; None lists all.
    """
    names = sorted(
        file.relative_to(CONFIG_DIR).with_suffix("").as_posix()
        for file in CONFIG_DIR.rglob("*.py")
        if not any(part.startswith("_") for part in file.relative_to(CONFIG_DIR).parts)
    )
    return [name for name in names if pattern is None or fnmatch(name, pattern)]


def find_config(name: str | Path) -> Path:
    """Return the path of a config, given a name of :func:`list_models` or a path.

    The folders of a name may be omitted if the rest is unique (``'swin_b_600e'``).

    Raises:
        FileNotFoundError: the config does not exist; the message contains similar names.
        ValueError: several configs match.
    """
    if Path(name).is_file():
        return Path(name)
    names = list_models()
    wanted = Path(name).as_posix().removesuffix(".py")
    matches = [full for full in names if full == wanted] or [
        full for full in names if full.endswith(f"/{wanted}")
    ]
    if len(matches) > 1:
        raise ValueError(
            f"'{name}' matches several configs: {', '.join(matches)}; give a full name"
        )
    if not matches:
        last_parts = [full.rpartition("/")[2] for full in names]
        near = difflib.get_close_matches(wanted, [*names, *last_parts], n=4, cutoff=0.5)
        hint = f"; similar ones: {', '.join(near)}" if near else ""
        raise FileNotFoundError(
            f"'{name}' is neither a config file nor a name of mim_plugins.list_models(){hint}"
        )
    return CONFIG_DIR / f"{matches[0]}.py"


def read_config(name: str | Path) -> Config:
    """Read a config, given its path or name, see :func:`find_config`.

    Raises:
        FileNotFoundError: the config or one of its bases does not exist.
        ConfigError: the config is not valid.
    """
    path = find_config(name)
    if path.suffix not in _SUFFIXES:
        raise ConfigError(
            f"config '{path}' is no config, which ends in one of {' '.join(_SUFFIXES)}; give a"
            " config or a name of list_models()"
        )
    try:
        cfg = use_text_paths(Config.fromfile(path))
    except FileNotFoundError:
        raise
    except Exception as error:  # configs are programs and may raise any type
        remedy = "" if isinstance(error, ImportError) else "; correct it"
        raise ConfigError(f"config '{path}': {_reason(error)}{remedy}") from error
    # yapf is slow, and MMEngine reports Ctrl-C while it formats the text as a syntax error
    vars(cfg)["_format_python_code"] = False
    return cfg


def override_config(cfg: Config, options: dict | None) -> None:
    """Apply options such as ``{'model.backbone.img_size': 192}``, see :func:`merge_options`.

    Raises:
        ConfigError: an option does not fit the config or changes nothing; the config is then
            unchanged.
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
