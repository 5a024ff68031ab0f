"""Weights & Biases curves of a run."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.visualization import WandbVisBackend as MMEngineBackend
from numpy import ndarray

from ..errors import ConfigError
from ..registry import VISBACKENDS

STEP = "iteration"
_FILE_NAME = "wandb_run_id.txt"


@VISBACKENDS.register_module()
class WandbVisBackend(MMEngineBackend):
    """MMEngine's backend with iterations as steps, and with one W&B run across resumes.

    MMEngine's backend numbers the calls instead, so pictures and evaluations shift the curves. W&B
    also rejects steps that decrease, which happens when a resumed run repeats iterations. Therefore
    the iteration is a metric of its own, and the x-axis of all others.

    The id of the W&B run is in ``wandb_run_id.txt`` in the work folder. A config with
    ``resume=True`` continues the run with this id; otherwise a new run starts.

    Args:
        save_dir: folder of W&B's files, ``WORK_DIR/TIMESTAMP/vis_data`` in runs of MMEngine.
        init_kwargs: arguments of ``wandb.init``, such as ``dict(project="mixmae")``.
        kwargs: further arguments of MMEngine's backend.

    Raises:
        ConfigError: W&B is not installed.
    """

    def __init__(self, save_dir: str, init_kwargs: dict | None = None, **kwargs: Any) -> None:
        if find_spec("wandb") is None:
            raise ConfigError("WandbVisBackend needs the package wandb: pip install wandb")
        self._init_kwargs: dict[str, Any] = {}  # set by MMEngine's class
        super().__init__(save_dir, dict(init_kwargs or {}), **kwargs)
        self._id_file = Path(save_dir).parents[1] / _FILE_NAME
        self._is_resumed = False

    def _init_env(self) -> None:
        if self._is_resumed and self._id_file.is_file():
            self._init_kwargs = dict(id=self._id_file.read_text().strip()) | self._init_kwargs
        self._init_kwargs.setdefault("resume", "allow")
        super()._init_env()
        self._id_file.write_text(f"{self._wandb.run.id}\n")
        self._wandb.define_metric(STEP)
        self._wandb.define_metric("*", step_metric=STEP)

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Start or continue the W&B run, and store the config."""
        self._is_resumed = bool(config.get("resume"))
        # a resumed run may change entries, such as resume itself
        self.experiment.config.update(config.to_dict(), allow_val_change=True)

    def add_image(self, name: str, image: ndarray, step: int = 0, **kwargs: Any) -> None:
        """Log a picture."""
        wandb = self.experiment
        wandb.log({name: wandb.Image(image), STEP: step}, commit=self._commit)

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Log a scalar."""
        self.add_scalars({name: value}, step)

    def add_scalars(
        self, scalar_dict: dict, step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Log several scalars."""
        self.experiment.log(scalar_dict | {STEP: step}, commit=self._commit)

    def close(self) -> None:
        """End the W&B run, if one has started."""
        if hasattr(self, "_wandb"):
            self._wandb.finish()
