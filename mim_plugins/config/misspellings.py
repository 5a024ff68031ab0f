"""Detection of misspelled names in config files."""

import difflib
from collections.abc import Collection, Iterator
from typing import Any

from mmengine.config import Config

from .choices import choice_problem
from .schema import Path, entry_problem, is_read_at_top, names_at_top

# top-level entries whose dicts MMEngine builds or reads; those of hooks may lack a type
_BUILT = (
    "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg",
    "optim_wrapper", "param_scheduler", "custom_hooks", "default_hooks", "randomness",
    "auto_scale_lr", "env_cfg",
)  # fmt: skip
# entries of a loader whose classes in other packages pass any argument on
_NOT_FOLLOWED = ("dataset", "collate_fn", "batch_sampler")
_CLOSE_AT_TOP = 0.85  # of 1
_USUAL_VARIABLES = ("models", "test_pipeline", "train_pipeline", "val_pipeline")


def misspelled_argument(cfg: Config) -> str | None:
    """Return an error text about the first unknown argument, or None."""
    # the raw dict: reading its entries one by one imports the classes that they name
    entries = cfg._cfg_dict
    for key in _BUILT:
        for path, node in _dicts((key,), dict.get(entries, key)):
            problem = entry_problem(path, node, dict.get(entries, "default_scope"))
            if problem is not None:
                return problem
    return None


def wrong_choice(cfg: Config) -> str | None:
    """Return an error text about the first value that is not among those allowed, or None."""
    entries = cfg._cfg_dict
    for path, node in _dicts((), {key: dict.get(entries, key) for key in entries}, skipped=()):
        for key in node:
            problem = choice_problem(path, str(key), dict.get(node, key))
            if problem is not None:
                return problem
    return None


def unread_entries(cfg: Config) -> list[str]:
    """Return a warning for each top-level dict or list whose name resembles one that is read."""
    entries = cfg._cfg_dict
    found = (
        (key, _near(key)) for key in entries if isinstance(dict.get(entries, key), dict | list)
    )
    return [
        f"nothing reads the config's entry '{key}'; did you mean {near}?"
        for key, near in found
        if near is not None
    ]


def _dicts(
    path: Path, node: Any, skipped: Collection[str] = _NOT_FOLLOWED
) -> Iterator[tuple[Path, dict]]:
    """Yield each dict with its path, except those under the ``skipped`` keys."""
    if isinstance(node, dict):
        yield path, node
        for key in node:
            if key not in skipped:
                yield from _dicts((*path, str(key)), dict.get(node, key), skipped)
    elif isinstance(node, list | tuple):
        for index, part in enumerate(node):
            yield from _dicts((*path, str(index)), part, skipped)


def _near(key: str) -> str | None:
    """Return the valid name that ``key`` may be a misspelling of, or None."""
    if is_read_at_top(key) or key in _USUAL_VARIABLES:
        return None
    names = [name for name in names_at_top() if not _differ_by_a_word(name, key)]
    swapped = [name for name in names if sorted(name) == sorted(key)]
    near = swapped or difflib.get_close_matches(key, names, n=1, cutoff=_CLOSE_AT_TOP)
    return near[0] if near else None


def _differ_by_a_word(name: str, key: str) -> bool:
    return name.startswith(f"{key}_") or key.startswith(f"{name}_")
