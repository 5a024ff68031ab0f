"""Hook that saves a run before it is terminated, and requests a restart by its exit code."""

import os
import signal
import threading
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ...errors import WorkDirError
from ...registry import HOOKS
from ..loops.training_end import at_end_of_training
from ..loops.worker_signals import defer_worker_signals
from ..resume.checkpoint_names import INTERRUPTED
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .restart_hook import LAUNCH_VARIABLE

#: Exit code of a run that was saved after a termination signal: restart it with ``--resume``.
REQUEUE_EXIT_CODE = 85


@HOOKS.register_module()
class PreemptionHook(Hook):
    """On SIGTERM or SIGUSR1, finish the iteration, save ``interrupted.pth`` and exit with 85.

    A process of launcher 'pytorch' that torchrun has started does the same if torchrun has ended,
    because nothing would restart the run or end its other processes.

    All processes stop at the same iteration, whichever of them received the signal. With gradient
    accumulation, this is an iteration that updates the weights. A signal received during validation
    takes effect after the validation. If ``interrupted.pth`` cannot be saved, the run ends with
    an error that contains the newest complete checkpoint. Only the main thread of a process
    receives signals; a run in another thread logs a warning.

    Args:
        interval: iterations between two synchronizations of several processes.
        signals: names of the signals.

    Raises:
        ValueError: ``interval`` is below 1, a signal is unknown, or the run has no
            :class:`AtomicCheckpointHook`.
    """

    priority = "LOWEST"

    def __init__(
        self, interval: int = 10, signals: tuple[str, ...] = ("SIGTERM", "SIGUSR1")
    ) -> None:
        if interval < 1:
            raise ValueError(f"PreemptionHook: interval={interval} must be at least 1")
        unknown = [name for name in signals if not hasattr(signal, name)]
        if unknown:
            raise ValueError(f"PreemptionHook: signals={signals}: unknown signal {unknown[0]}")
        self.interval = interval
        self.signals = [signal.Signals[name] for name in signals]
        self._received = self._stopping = False
        self._launcher: int | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def before_train(self, runner: Runner) -> None:
        """Install the signal handlers and protect the workers from the signals."""
        checkpoint_hook(runner, type(self).__name__)
        loaders = (
            getattr(each, "dataloader", None) for each in (runner.train_loop, runner.val_loop)
        )
        found = (each for each in loaders if isinstance(each, DataLoader))
        defer_worker_signals(*found, signals=self.signals)
        self._received = self._stopping = False
        # a run that torchrun did not start may have inherited the variable
        is_launched = runner.launcher == "pytorch" and LAUNCH_VARIABLE in os.environ
        self._launcher = os.getppid() if is_launched else None
        if not _is_main_thread():
            runner.logger.warning(
                "PreemptionHook: this run trains in another thread than the main one, and only that"
                " one receives signals: SIGTERM does not save this run"
            )
            return
        for number in self.signals:
            self._previous[number] = signal.signal(number, self._receive)
        at_end_of_training(runner, self._restore_handlers)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Save and exit if any process of the run received a signal.

        Raises:
            SystemExit: with ``REQUEUE_EXIT_CODE``, when the run is saved.
            WorkDirError: on all processes, if it could not be saved.
        """
        self._stopping = self._stopping or self._anyone_received(runner)
        if not self._stopping or not weights_are_up_to_date(runner.optim_wrapper):
            return
        # loader workers, which may have received the signal too, are no longer needed
        if _is_main_thread():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        cause = "the launcher has ended" if self._has_lost_launcher() else "termination signal"
        runner.logger.warning(f"{cause}: stopping at iteration {runner.iter + 1}")
        hook = checkpoint_hook(runner, type(self).__name__)
        hook.save_iteration(runner, INTERRUPTED, "the run ends here")
        saved = hook.finish_saving()
        barrier()  # a launcher ends all processes when the first one exits
        if not saved:
            raise WorkDirError(
                f"{cause}, but the state after iteration {runner.iter + 1} could NOT be saved:"
                f" {hook.newest}. Make room, then restart with --resume"
            )
        runner.logger.warning(
            f"saved; exiting with code {REQUEUE_EXIT_CODE}: continue with --resume"
        )
        raise SystemExit(REQUEUE_EXIT_CODE)

    def after_train(self, runner: Runner) -> None:
        """Restore the signal handlers, as loops of this package also do after errors."""
        self._restore_handlers()

    def _restore_handlers(self) -> None:
        if self._stopping:
            return  # another signal must not change the exit code
        for number, handler in self._previous.items():
            # None: a handler that Python did not set and cannot restore
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def _receive(self, number: int, frame: object) -> None:
        self._received = True

    def _has_lost_launcher(self) -> bool:
        return self._launcher is not None and os.getppid() != self._launcher

    def _anyone_received(self, runner: Runner) -> bool:
        received = self._received or self._has_lost_launcher()
        if runner.world_size == 1:
            return received
        if not self.every_n_train_iters(runner, self.interval):
            return False
        flag = torch.tensor(int(received))
        all_reduce(flag, "max")
        return bool(flag)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def weights_are_up_to_date(optim_wrapper: OptimWrapper | OptimWrapperDict) -> bool:
    """Return whether no accumulated gradients are pending, which a checkpoint would lose."""
    if isinstance(optim_wrapper, OptimWrapperDict):
        return all(wrapper.should_update() for wrapper in optim_wrapper.values())
    return optim_wrapper.should_update()


def checkpoint_hook(runner: Runner, user: str) -> AtomicCheckpointHook:
    """Return the :class:`AtomicCheckpointHook` of a run; ``user`` is the hook that needs it.

    Raises:
        ValueError: the run has none.
    """
    for hook in runner.hooks:
        if isinstance(hook, AtomicCheckpointHook):
            return hook
    raise ValueError(
        f"{user} needs default_hooks.checkpoint.type='mim_plugins.AtomicCheckpointHook'"
    )
