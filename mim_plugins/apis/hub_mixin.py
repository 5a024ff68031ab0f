"""Base of models on the Hugging Face hub, whether its package is installed or not."""

from typing import Any, NoReturn

from ..errors import MissingPackageError


class _WithoutHub:
    """Base that replaces ``PyTorchModelHubMixin`` if huggingface_hub is not installed."""

    def __init_subclass__(cls, **_: Any) -> None:
        super().__init_subclass__()

    @classmethod
    def from_pretrained(cls, *_: Any, **__: Any) -> NoReturn:
        """Raise an error with the command that installs huggingface_hub."""
        raise MissingPackageError(
            "the Hugging Face hub needs the package huggingface_hub: pip install 'mim_plugins[hub]'"
        )

    save_pretrained = push_to_hub = from_pretrained


try:
    from huggingface_hub import PyTorchModelHubMixin as HubMixin
except ImportError:
    HubMixin = _WithoutHub  # type: ignore[assignment, misc]
