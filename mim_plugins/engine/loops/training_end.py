"""End of a training for any reason, also by an error, after which MMEngine calls no hook."""

from collections.abc import Callable
from weakref import WeakKeyDictionary

from mmengine.runner import Runner

from ..resume.checkpoint_writer import wait_for_write

_actions: WeakKeyDictionary[Runner, list[Callable[[], object]]] = WeakKeyDictionary()


def at_end_of_training(runner: Runner, action: Callable[[], object]) -> None:
    """Call an action when the loop of a run ends for any reason; only loops of this package do."""
    _actions.setdefault(runner, []).append(action)


def end_training(runner: Runner) -> None:
    """Complete the files that are being written, then call the actions of the hooks.

    After an error, the run may be resumed in another process.
    """
    try:
        wait_for_write(runner)
    finally:
        for action in reversed(_actions.pop(runner, [])):
            action()
