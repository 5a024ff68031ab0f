"""MMEngine's runner with concise console output and a complete log file."""

import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from ..algorithms import PretrainingModel
from ..algorithms.compilation import compilable_blocks, compile_parts, set_memory_budget
from ..checkpoints import (
    cached_path,
    is_web_address,
    plain_data_only,
    read_tensors,
    socket_timeout,
    write_atomically,
)
from ..config import config_text
from ..config.schema import DEFAULT_HOOKS
from ..engine.guards.guarded_writers import guard_backends, guard_log_file, guard_writers
from ..engine.guards.guarded_writes import try_writing
from ..engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from ..engine.hooks.progress_hook import ProgressHook
from ..engine.model_wrapper import unwrap_model
from ..engine.resume.checkpoint_files import POINTER
from ..engine.resume.loaded_checkpoint import check_loaded, is_trusted
from ..engine.resume.loaded_weights import check_loadable
from ..engine.resume.resumable_content import make_resumable
from ..engine.sharding import FullyShardedModel
from ..errors import ConfigError

# messages of MMEngine and mmpretrain at every start that users cannot act on
_FILE_ONLY = (
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    "Because batch augmentations are enabled",
    "Config:\n",
    "Distributed training is not used, all SyncBatchNorm",
    "Exp name:",
    "Hooks will be executed in the following order",
    "The prefix is not set in metric class",
)
_IGNORED_WARNINGS = (
    r"Setting (OMP|MKL)_NUM_THREADS environment variable",
    r"'pin_memory' argument is set as true but no accelerator is found",
    # mmseg about its own components, which its configs use
    r"``build_loss`` would be deprecated",
    r"Default ``avg_non_ignore`` is False",
    r"`reduce_zero_label` will be deprecated",
    r"The draw is False, it means that the hook for visualization",
    # false alarm during gradient accumulation and adjustment of the float16 loss scale
    r"Detected call of `scheduler\.step\(\)` before `optimizer\.step\(\)`",
)


class ConsoleRunner(Runner):
    """Runner that logs environment, config and hooks to the log file only, not to the console.

    The same holds for library messages that users cannot act on. In addition, it never executes
    code from a checkpoint, with any version of MMEngine, and continues if a log, scalar or picture
    cannot be written (see :func:`guard_writers`).
    """

    _has_begun = False
    _source = "the checkpoint"  # path of the loaded checkpoint, for messages

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for message in _IGNORED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        self._first_actions: list[Callable[[], object]] = []
        super().__init__(*args, **kwargs)

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Build MMEngine's logger with a filtered console and a guarded log file."""
        logger = super().build_logger(log_level, log_file, **kwargs)
        guard_log_file(logger)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_for_the_console)
        logger.info(f"Environment, config and hooks: {logger.log_file}")
        return logger

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """Build MMEngine's visualizer with guarded backends."""
        built = super().build_visualizer(visualizer)
        guard_backends(built, self.logger)
        return built

    def dump_config(self) -> None:
        """Write nothing: ``cfg`` has been adapted to this machine, see :meth:`write_config`."""

    @master_only
    def write_config(self, cfg: Config) -> None:
        """Write the config of the run to the work folder; a failure is only logged.

        Where the folder contains checkpoints, their config is replaced after the first iteration,
        because ``mim-plugins resume`` continues from both if the run fails before.

        Args:
            cfg: config as it applies on any machine.
        """
        folder, text = Path(self.work_dir), config_text(cfg)
        file = folder / f"{Path(cfg.filename or self.timestamp).stem}.py"
        write = partial(
            try_writing,
            self.logger,
            f"the config in '{self.work_dir}'",
            lambda: write_atomically(file, lambda part: part.write_text(text, encoding="utf-8")),
        )
        if (folder / POINTER).exists() or any(folder.glob("*.pth")):
            self.after_first_iteration(write)
        else:
            write()

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        """Register the default hooks; None disables any of them, not only those of MMEngine."""
        if hooks is not None:
            hooks = {
                name: hook
                for name, hook in hooks.items()
                if hook is not None or name in DEFAULT_HOOKS
            }
        super().register_default_hooks(hooks)

    def register_hooks(self, *args: Any, **kwargs: Any) -> None:
        """Register the hooks and guard those that only report."""
        super().register_hooks(*args, **kwargs)
        guard_writers(self)

    def has_begun(self) -> bool:
        """Return whether training or a validation has started; earlier errors are setup errors."""
        return self._has_begun

    def after_first_iteration(self, action: Callable[[], object]) -> None:
        """Call an action once, after the first iteration of training and before its hooks.

        Of several actions, the last one is called first.
        """
        self._first_actions.append(action)

    def train(self) -> Any:
        """Train as MMEngine does; bars on the terminal never outlive the training."""
        try:
            return super().train()
        finally:
            for hook in self.hooks:
                if isinstance(hook, ProgressHook):
                    hook.close()

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint as MMEngine does, restricted to plain data and valid weights.

        PyTorch rejects other content by default, but onedl-mmengine then unpickles without
        restriction. The environment variable ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`` is respected.

        Raises:
            CheckpointError: see :func:`read_tensors`, :func:`check_loaded` and
                :func:`check_loadable`.
            pickle.UnpicklingError: the file contains more than plain data.
        """
        self._source = filename
        if isinstance(self.model, FullyShardedModel):  # a GPU has no room for the complete tensors
            kwargs["map_location"] = "cpu"
        is_web = is_web_address(filename)
        if not (self._resume or is_trusted(self)) and (is_web or "://" not in str(filename)):
            read_tensors(filename)  # raises errors with file, cause and remedy
            filename = str(cached_path(filename)) if is_web else filename  # what was checked
        with self._plain_data_by_default(), socket_timeout():
            return super().load_checkpoint(filename, *args, **kwargs)

    def _maybe_compile(self, target: str) -> None:
        """Compile pre-training models by their own method, and blocks of other models.

        MMEngine would compile data preprocessing and optimizer as well, and split the step into
        many graphs. It still compiles models without lists of blocks.
        """
        options = self.cfg.get("compile")
        model = unwrap_model(self.model)
        blocks = compilable_blocks(model)
        is_own = isinstance(model, PretrainingModel)
        if not options or not (is_own or blocks):
            super()._maybe_compile(target)
            return
        if not isinstance(options, (bool, dict)):
            raise ConfigError(
                f"compile={options!r} must be True, False or a dict of arguments of torch.compile"
            )
        arguments = dict(options) if isinstance(options, dict) else {}
        if is_own:
            model.compile(**arguments)
        else:
            scope = arguments.pop("scope", "blocks")
            if scope != "blocks":
                raise ConfigError(
                    f"compile.scope={scope!r} must be 'blocks', because the model is"
                    f" {type(model).__name__}; 'model' is for pre-training"
                )
            set_memory_budget(model, arguments.pop("memory_budget", 1.0))
            compile_parts(blocks, **arguments)
        self.logger.info("compile: the first iterations take longer")

    def _init_model_weights(self) -> None:  # MMEngine reads the files of init_cfg here
        with self._plain_data_by_default():
            super()._init_model_weights()

    def wrap_model(self, model_wrapper_cfg: dict | None, model: Any) -> Any:
        """Wrap the model as MMEngine does; FullyShardedModel reads the files of init_cfg here."""
        with self._plain_data_by_default():
            return super().wrap_model(model_wrapper_cfg, model)

    def _plain_data_by_default(self) -> AbstractContextManager[None]:
        return nullcontext() if is_trusted(self) else plain_data_only()

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call the hooks as MMEngine does, check checkpoints and record the start of training.

        This is MMEngine's only extension point between reading and loading a checkpoint. The
        content is checked before any hook runs, the weights after all hooks, which may change them.
        What hooks add to a checkpoint that is saved becomes plain data.
        """
        if fn_name == "after_load_checkpoint":
            check_loaded(self, kwargs["checkpoint"])
        # a resumed run may begin with a validation
        self._has_begun = self._has_begun or fn_name in ("before_train_epoch", "before_val")
        while fn_name == "after_train_iter" and self._first_actions:
            self._first_actions.pop()()
        super().call_hook(fn_name, **kwargs)
        if fn_name == "after_load_checkpoint":
            check_loadable(self.model, kwargs["checkpoint"], self._source, self._resume)
        elif fn_name == "before_save_checkpoint" and any(
            isinstance(hook, AtomicCheckpointHook) for hook in self.hooks
        ):
            make_resumable(self, kwargs["checkpoint"])


def _is_for_the_console(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not message.startswith(_FILE_ONLY) and "System environment:" not in message[:200]
