"""Detection of misspelled names in config files."""

import difflib
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from .choices import choice_problem
from .option_checks import copies_of, look_up
from .plain_dicts import top_level
from .schema import Path, entry_problem
from .values import UNKNOWN, kind_mismatch

# top-level entries whose dicts MMEngine builds or reads; those of hooks may lack a type
_BUILT = (
    "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg",
    "optim_wrapper", "param_scheduler", "custom_hooks", "default_hooks", "randomness",
    "auto_scale_lr", "env_cfg", "log_processor", "model_wrapper_cfg", "compile",
)  # fmt: skip
# entries of a loader whose classes in other packages pass any argument on
_NOT_FOLLOWED = ("dataset", "collate_fn", "batch_sampler")
_CLOSE_AT_TOP = 0.85  # of 1
_OF_MMCV_1 = dict(
    auto_resume="resume",
    checkpoint_config="default_hooks.checkpoint",
    cudnn_benchmark="env_cfg.cudnn_benchmark",
    data="train_dataloader, val_dataloader and test_dataloader",
    deterministic="randomness.deterministic",
    dist_params="env_cfg.dist_cfg",
    evaluation="train_cfg.val_interval and val_evaluator",
    fp16="optim_wrapper.type='AmpOptimWrapper'",
    hooks="custom_hooks",
    log_config="default_hooks.logger and visualizer",
    lr_config="param_scheduler",
    momentum_config="param_scheduler",
    mp_start_method="env_cfg.mp_cfg.mp_start_method",
    opencv_num_threads="env_cfg.mp_cfg.opencv_num_threads",
    optimizer_config="optim_wrapper.clip_grad and accumulative_counts",
    resume_from="load_from, with resume=True",
    runner="train_cfg",
    seed="randomness.seed",
    total_epochs="train_cfg.max_epochs",
)
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
    for path, node in _dicts((), {key: dict.get(entries, key) for key in entries}):
        for key in node:
            problem = choice_problem(path, str(key), dict.get(node, key))
            if problem is not None:
                return problem
    return None


def misspelled_entry(cfg: Config) -> str | None:
    """Return an error text about the first top-level entry whose name resembles a valid one.

    A variable whose value is found in an entry that is read is no misspelling.
    """
    entries = cfg._cfg_dict
    for key in entries:
        near = _near(key, dict.get(entries, key))
        if near is not None and not copies_of(entries, (key,)):
            return (
                f"the config's entry '{key}' has no effect; did you mean {near}? Give a"
                " variable of the config file another name"
            )
    return None


def unread_entries(cfg: Config) -> list[str]:
    """Return a warning for each entry of MMCV 1 and each part of the model outside ``model``."""
    entries = cfg._cfg_dict
    outdated = [
        f"the config's entry '{key}' has no effect; it is one of MMCV 1, now {new}"
        for key, new in _OF_MMCV_1.items()
        if dict.get(entries, key) is not None and not _is_used(entries, key, new)
    ]
    model = dict.get(entries, "model")
    parts = model if isinstance(model, dict) else {}
    misplaced = [
        f"the config's entry '{key}' is not read and differs from model.{key}; to change the"
        f" model, write model = dict({key}=...)"
        for key in parts
        if key in entries
        and (key == "data_preprocessor" or key not in top_level().names)
        and isinstance(dict.get(entries, key), dict)
        and not _contains(dict.get(parts, key), dict.get(entries, key))
        and set(copies_of(entries, (key,))) <= {key}  # data_preprocessor finds itself
    ]
    return outdated + misplaced


def _is_used(entries: dict, key: str, new: str) -> bool:
    return look_up(entries, tuple(new.split("."))) == dict.get(entries, key) or bool(
        copies_of(entries, (key,))
    )


def _contains(node: Any, part: Any) -> bool:
    """Return whether merging ``part`` into ``node`` would change nothing."""
    if not (isinstance(node, dict) and isinstance(part, dict)):
        return bool(node == part)
    return all(_contains(dict.get(node, key, UNKNOWN), dict.get(part, key)) for key in part)


def _dicts(path: Path, node: Any) -> Iterator[tuple[Path, dict]]:
    """Yield each dict with its path, except those of arguments that any class may read."""
    if isinstance(node, dict):
        yield path, node
        for key in node:
            if key not in _NOT_FOLLOWED:
                yield from _dicts((*path, str(key)), dict.get(node, key))
    elif isinstance(node, list | tuple):
        for index, part in enumerate(node):
            yield from _dicts((*path, str(index)), part)


def _near(key: str, value: Any) -> str | None:
    """Return the name of which ``key`` may be a misspelling, or None."""
    valid = top_level().names
    if key in valid or key in _USUAL_VARIABLES:
        return None
    is_open = isinstance(value, dict | list)  # one hook may be meant as a list of hooks
    names = [
        name
        for name, annotation in valid.items()
        if not _differ_by_a_word(name, key)
        and (is_open or kind_mismatch(value, annotation=annotation) is None)
    ]
    swapped = [name for name in names if sorted(name) == sorted(key)]
    near = swapped or difflib.get_close_matches(key, names, n=1, cutoff=_CLOSE_AT_TOP)
    return near[0] if near else None


def _differ_by_a_word(name: str, key: str) -> bool:
    return name.startswith(f"{key}_") or key.startswith(f"{name}_")
