"""Writing of checkpoints while training continues."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from mmengine.dist import broadcast_object_list
from mmengine.runner import Runner

from ...errors import WorkDirError
from ..guards.guarded_writes import free_space
from ..optim.sharded_optimizer import gather_optimizer_state
from ..optim.sharded_state_transfer import ShardedStateTransfer
from ..sharding.sharded_run import gathered_state
from .captured_checkpoint import captured_checkpoint
from .checkpoint_copier import CheckpointCopier
from .checkpoint_names import is_local
from .loaded_checkpoint import is_trusted
from .resumable_content import make_resumable
from .run_checkpoints import newest_complete, update_pointer


class Outcome(NamedTuple):
    """Result of a save: whether it succeeded, or else the newest complete checkpoint."""

    is_saved: bool
    newest: str = ""


class CheckpointWriter:
    """Writes one checkpoint at a time in a thread.

    The thread ends with the write. Python waits for it before the interpreter exits, and the loops
    of this package before a run ends for any reason (:func:`wait_for_write`). Only the main process
    writes, so the processes agree on the result when they call :meth:`finish`.

    Args:
        background: write in a thread. False copies nothing and writes while training waits.
        errors: types of the errors of the storage, after which training continues.
    """

    def __init__(self, background: bool, errors: tuple[type[Exception], ...]) -> None:
        self.background = background
        self.errors = errors
        self._copier = CheckpointCopier()
        self._transfer = ShardedStateTransfer()
        self._pending: tuple[Future[Outcome], Callable[[Outcome], object]] | None = None

    def save(
        self,
        runner: Runner,
        path: str,
        save: Callable[[], object],
        describe: Callable[[Exception], Outcome],
        finish: Callable[[bool], object] | None,
        settle: Callable[[Outcome], object],
        has_optimizer: bool,
    ) -> None:
        """Copy the state of the run and begin to write it, then ``last_checkpoint``.

        All processes must call it. It waits for the previous file, then calls ``before_saving`` of
        the hooks that have it. MMEngine's ``before_save_checkpoint`` is called in the main process
        only.

        Args:
            runner: runner of the run.
            path: the file.
            save: function that calls ``runner.save_checkpoint``.
            describe: function that logs an error of the storage and returns the outcome.
            finish: called after the write with its success, in the writing process; None: nothing.
            settle: called with the outcome in all processes, by :meth:`finish`.
            has_optimizer: whether the file contains the optimizer, see :func:`update_pointer`.
        """
        self.finish()
        runner.call_hook("before_saving")
        # other formats and content without restrictions cannot be copied
        in_background = self._is_copied = self.background and not is_trusted(runner)
        receivers: list[Callable[[], object]] = []
        if in_background:
            receivers.append(self._transfer.start(runner))
        else:
            gather_optimizer_state(runner)
        failure: Exception | None = None
        copy = partial(self._copy, runner, path)
        with captured_checkpoint(copy) as writes, gathered_state(runner):
            try:
                save()
            except self.errors as error:  # of a runner that writes in another way
                failure = error

        def write() -> Outcome:
            outcome = Outcome(True)
            try:
                if failure is not None:
                    raise failure
                for each in (*receivers, *writes):
                    each()
                update_pointer(runner, path, has_optimizer)
            except self.errors as error:
                outcome = describe(error)
            if finish is not None:
                finish(outcome.is_saved)
            return outcome

        self._start(runner, write, settle, in_background and self._is_copied)

    def finish(self) -> bool:
        """Wait for the file in all processes; return whether it was saved, True if there is none.

        If the processes continued differently, the next collective operation would hang.
        """
        pending, self._pending = self._pending, None
        return pending is None or agree(pending[0].result(), pending[1])

    def _copy(self, runner: Runner, path: str, content: dict) -> dict:
        """Return a copy; without enough memory, the content, which is then written at once."""
        make_resumable(runner, content)  # also what the last hooks have added
        if not self._is_copied:
            return content
        try:
            return self._copier.copy(runner, content)
        except (MemoryError, RuntimeError) as error:  # PyTorch's allocator raises the latter
            self._copier = CheckpointCopier()  # releases the memory of former copies
            self._is_copied = False
            reason = " ".join(str(error).split()) or type(error).__name__
            runner.logger.warning(
                f"{path} is written while training waits, because its copy failed: {reason}"
            )
            return content

    def _start(
        self,
        runner: Runner,
        write: Callable[[], Outcome],
        settle: Callable[[Outcome], object],
        in_background: bool,
    ) -> None:
        future: Future[Outcome] = Future()
        self._pending = future, settle
        if not in_background:
            _call(write, future)
            return
        # not a daemon, so Python does not exit before the file is complete
        thread = threading.Thread(target=_call, args=(write, future), name="checkpoint")
        try:
            thread.start()
        except RuntimeError:  # the limit of threads is reached
            _call(write, future)
        else:
            running = filter(threading.Thread.is_alive, _threads.get(runner, []))
            _threads[runner] = [*running, thread]


_threads: WeakKeyDictionary[Runner, list[threading.Thread]] = WeakKeyDictionary()


def wait_for_write(runner: Runner) -> None:
    """Wait in this process until the checkpoints that all hooks are writing are complete."""
    for thread in _threads.pop(runner, []):
        thread.join()


def agree(outcome: Outcome, settle: Callable[[Outcome], object]) -> bool:
    """Call ``settle`` in all processes with the outcome of the main process; return its success."""
    result = [outcome]
    broadcast_object_list(result)
    settle(result[0])
    return result[0].is_saved


def describe_failure(
    hook: Any, runner: Runner, name: str, prospect: str, error: Exception
) -> Outcome:
    """Log that a file could not be saved and return the outcome.

    Args:
        hook: the checkpoint hook, with its folder and its last checkpoint.
        runner: runner of the run.
        name: the file.
        prospect: the next attempt.
        error: error of the write.
    """
    folder = hook.out_dir if is_local(hook.out_dir) else None
    newest = newest_complete(folder, runner, hook.last_ckpt)
    runner.logger.error(
        f"{name} could NOT be saved: {error}; {free_space(runner.work_dir)}; {prospect}."
        f" Make room: {newest}"
    )
    return Outcome(False, newest)


def lost_end(runner: Runner, newest: str) -> WorkDirError:
    """Return the error of a run whose final weights could not be saved."""
    return WorkDirError(
        "the run ended without its final weights, which could not be saved:"
        f" {free_space(runner.work_dir)}; {newest}. Make room, then use --resume"
    )


def _call(write: Callable[[], Outcome], future: Future[Outcome]) -> None:
    try:
        future.set_result(write())
    except BaseException as error:  # raised by CheckpointWriter.finish, in the main thread
        future.set_exception(error)
