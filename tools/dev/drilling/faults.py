"""Faults that a run injects into itself."""

import errno
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mim_plugins.engine.model_wrapper import unwrap_model
from mim_plugins.registry import HOOKS

from .spoiled_disk import SpoiledDisk

FIRST, SPACING = 5, 6  # iterations
AGENT_VARIABLE = "DRILL_AGENT"  # number of the agent that started a process
STOPPED = "stopped"  # file of the record with the numbers of processes that got a signal
DISTURBED = 3  # iterations with a spoiled disk; at least one of them saves
_DAY = 86_400.0


@HOOKS.register_module()
class FaultHook(Hook):
    """Inject each fault once, alternately in the two processes, and record all iterations.

    Args:
        kinds: names of :data:`FAULTS`, in the order of injection.
        record: folder of the record: ``iterations`` and, for each fault, its time.
    """

    priority = "HIGHEST"

    def __init__(self, kinds: list[str], record: str) -> None:
        self.kinds = kinds
        self.record = Path(record)
        self.spoils_loss = False
        self.signals_at_save = 0
        self.disk = SpoiledDisk()

    def before_train(self, runner: Runner) -> None:
        """Register the hook that spoils the loss before the guard checks it."""
        unwrap_model(runner.model).register_forward_hook(self._spoil)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | tuple | list | None = None
    ) -> None:
        """Inject the fault of this iteration."""
        index, rest = divmod(runner.iter - FIRST, SPACING)
        if rest or not 0 <= index < len(self.kinds):
            return
        kind = self.kinds[index]
        mark = self.record / f"fault_{index}"
        if _is_hit(kind, index, runner.rank) and not mark.exists():
            mark.write_text(str(time.monotonic()))
            FAULTS[kind](self, runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Send the signals of ``sigterm`` and ``sigterm_twice``."""
        for _ in range(self.signals_at_save):
            os.kill(os.getpid(), signal.SIGTERM)
        self.signals_at_save = 0

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record the completed iteration."""
        self.disk.count_down()
        if runner.rank == 0:
            with (self.record / "iterations").open("a") as file:
                file.write(f"{runner.iter + 1} {time.monotonic()}\n")

    def _spoil(self, model: Any, inputs: Any, losses: Any) -> Any:
        if not self.spoils_loss:
            return losses
        self.spoils_loss = False
        return {name: value * float("nan") for name, value in losses.items()}


def _is_hit(kind: str, index: int, rank: int) -> bool:
    """Return whether the process ``rank`` is the one with the fault."""
    if kind in _ON_MAIN:
        return rank == 0
    if kind in _ON_OTHER:
        return rank == 1
    if kind == "node":
        return os.environ[AGENT_VARIABLE] == "1"
    return rank == index % 2


def _signal(number: int) -> Callable[[FaultHook, Runner], None]:
    return lambda hook, runner: os.kill(os.getpid(), number)


def _kill_launcher(hook: FaultHook, runner: Runner) -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def _kill_node(hook: FaultHook, runner: Runner) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _damage(count: int, change: Callable[[bytearray], object]) -> Callable:
    """Return the fault that changes the newest ``count`` checkpoints, then kills the process."""

    def inject(hook: FaultHook, runner: Runner) -> None:
        files = sorted(Path(runner.work_dir).glob("*.pth"), key=lambda file: file.stat().st_mtime)
        for file in files[-count:]:
            content = bytearray(file.read_bytes())
            change(content)
            file.write_bytes(content)
        os.kill(os.getpid(), signal.SIGKILL)

    return inject


def _flip(content: bytearray) -> None:
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def _truncate(content: bytearray) -> None:
    del content[random.randrange(len(content)) :]


def _spoil_disk(number: int) -> Callable[[FaultHook, Runner], None]:
    return lambda hook, runner: hook.disk.fail(runner.work_dir, number, DISTURBED)


def _slow_disk(hook: FaultHook, runner: Runner) -> None:
    hook.disk.delay(2.0, DISTURBED)


def _move_clock(hook: FaultHook, runner: Runner) -> None:
    original, offset = time.time, random.choice((-_DAY, _DAY))
    setattr(time, "time", lambda: original() + offset)  # noqa: B010  mypy: a function


def _signal_loader(number: int) -> Callable[[FaultHook, Runner], None]:
    def inject(hook: FaultHook, runner: Runner) -> None:
        for child in multiprocessing.active_children():
            assert child.pid is not None
            with (hook.record / STOPPED).open("a") as file:
                file.write(f"{child.pid}\n")
            os.kill(child.pid, number)

    return inject


FAULTS: dict[str, Callable[[FaultHook, Runner], None]] = dict(
    kill=_signal(signal.SIGKILL),
    launcher=_kill_launcher,
    node=_kill_node,
    freeze=_signal(signal.SIGSTOP),
    hang=lambda hook, runner: time.sleep(600),
    loader_killed=_signal_loader(signal.SIGKILL),
    loader_stalled=_signal_loader(signal.SIGSTOP),
    corrupt=_damage(1, _flip),
    corrupt_two=_damage(2, _flip),
    truncated=_damage(1, _truncate),
    disk_full=_spoil_disk(errno.ENOSPC),
    disk_read_only=_spoil_disk(errno.EROFS),
    disk_slow=_slow_disk,
    clock=_move_clock,
    sigterm=lambda hook, runner: setattr(hook, "signals_at_save", 1),
    sigterm_twice=lambda hook, runner: setattr(hook, "signals_at_save", 2),
    nan=lambda hook, runner: setattr(hook, "spoils_loss", True),
)
# only the main process saves
_ON_MAIN = ("disk_full", "disk_read_only", "disk_slow", "sigterm", "sigterm_twice")
_ON_OTHER = ("nan",)
