"""Owner of a message hub, which runners of one name that are built within a second share."""

from weakref import ReferenceType, WeakKeyDictionary, ref

from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.runner import Runner

_owners: WeakKeyDictionary[MessageHub, ReferenceType[Runner]] = WeakKeyDictionary()


def own_message_hub(runner: Runner) -> None:
    """Remove what another run has stored in the message hub, now and at the start of the run.

    Between both, another runner of the same name may train.
    """
    _take(runner)
    if not any(isinstance(each, _OwnHub) for each in runner.hooks):
        runner.hooks.insert(0, _OwnHub())


class _OwnHub(Hook):
    """Hook that acts before others store values, and before a checkpoint is loaded."""

    priority = "HIGHEST"

    def before_run(self, runner: Runner) -> None:
        _take(runner)


def _take(runner: Runner) -> None:
    hub = runner.message_hub
    owner = _owners.get(hub)
    if owner is not None and owner() is not runner:
        hub.runtime_info.clear()
        hub.log_scalars.clear()
    _owners[hub] = ref(runner)
