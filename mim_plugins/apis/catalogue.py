"""The configs of this package by name."""

import difflib
from fnmatch import fnmatch
from pathlib import Path

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
