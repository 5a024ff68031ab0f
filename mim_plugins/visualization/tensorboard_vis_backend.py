"""TensorBoard curves of a run, if TensorBoard is installed."""

from importlib.util import find_spec
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.visualization import TensorboardVisBackend as MMEngineBackend
from numpy import ndarray

from ..registry import VISBACKENDS


@VISBACKENDS.register_module()
class TensorboardVisBackend(MMEngineBackend):
    """MMEngine's backend, which does nothing but log one line if TensorBoard is not installed.

    Recipes can therefore use it by default. ``tensorboard --logdir WORK_DIR`` shows the curves.

    Args:
        save_dir: folder of the event files.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self._is_installed = find_spec("tensorboard") is not None

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Write the config as text, or log that there will be no curves."""
        if self._is_installed:
            super().add_config(config, **kwargs)
        else:
            print_log("no TensorBoard curves: pip install tensorboard", "current")

    def add_image(self, name: str, image: ndarray, step: int = 0, **kwargs: Any) -> None:
        """Write a picture."""
        if self._is_installed:
            super().add_image(name, image, step, **kwargs)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Write a scalar; :meth:`add_scalars` calls this method for each of its scalars."""
        if self._is_installed:
            super().add_scalar(name, value, step, **kwargs)

    def add_scalars(
        self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Write several scalars."""
        if self._is_installed:
            super().add_scalars(scalar_dict, step, file_path, **kwargs)
