"""Hook that draws reconstructions during training."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from ...apis.inputs import central_pipeline, model_inputs
from ...registry import HOOKS
from ...sampling import evenly_spaced
from ...visualization import draw_grid, isolated_eval, reconstruction_panels
from ...visualization.panels import check_reconstructs, panel_caption
from ..model_wrapper import unwrap_model
from .interval_hook import IntervalHook


@HOOKS.register_module()
class ReconstructionHook(IntervalHook):
    """Log a picture of reconstructions to the visualizer's backends (files, TensorBoard, WandB).

    Images, masks and mixtures are the same in every picture. Only the main process draws, in
    evaluation mode and float32, and the training stays bit-identical. A first picture is drawn
    before training to detect errors and is not logged. A later failure is only a warning.

    Args:
        interval: epochs (or iterations) between pictures.
        by_epoch: whether ``interval`` counts epochs or iterations.
        images: number of training images, evenly spaced over the data set; or indices of training
            images; or paths of image files. Training images pass through the training pipeline
            once. Files are resized and center-cropped. MixMAE needs at least 2 images.
        name: name of the picture in the backends.
        seed: seed of masks, mixtures and the pipeline.

    Raises:
        ValueError: ``interval`` is below 1, or ``images`` is empty. Before the first iteration: the
            model cannot reconstruct, or its parameters are sharded across processes.
        FileNotFoundError: before the first iteration, if an image does not exist.
    """

    priority = "LOW"

    def __init__(
        self,
        interval: int = 10,
        by_epoch: bool = True,
        images: int | Sequence[int | str] = 8,
        name: str = "reconstruction",
        seed: int = 0,
    ) -> None:
        super().__init__(interval, by_epoch)
        if isinstance(images, int) and images < 1:
            raise ValueError(f"ReconstructionHook: images={images} must be at least 1")
        if not images:
            raise ValueError("ReconstructionHook: images is empty; set a number, indices or paths")
        self.images = images if isinstance(images, int) else tuple(images)
        self.name = name
        self.seed = seed
        self._batch: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Read the images and draw once, which reports errors before training."""
        if not is_main_process():
            return
        model = _unwrap(runner.model)
        check_reconstructs(model)
        model._config = runner.cfg  # names the loading transform and its order of colors
        with isolated_eval(model, self.seed):
            self._batch = self._read(runner, model)
        self._picture(model, self._batch)

    def act(self, runner: Runner, step: int) -> None:
        """Draw and log the picture, with the number of completed iterations as step.

        A failure, such as a full disk or GPU, is only a warning.
        """
        if self._batch is None:  # not the main process
            return
        try:
            picture = self._picture(_unwrap(runner.model), self._batch)
            runner.visualizer.add_image(self.name, picture, step)
        except Exception as error:  # backends raise exceptions of any kind
            print_log(
                f"ReconstructionHook: no picture at iteration {step}: {type(error).__name__}:"
                f" {error}",
                logger="current",
                level=logging.WARNING,
            )

    def _picture(self, model: Any, batch: Tensor) -> np.ndarray:
        panels = reconstruction_panels(model, batch, self.seed)
        return draw_grid(panels, panel_caption(panels))

    def _read(self, runner: Runner, model: Any) -> Tensor:
        """Return normalized images (B, C, H, W) on the model's device."""
        dataset, images = runner.train_dataloader.dataset, self.images
        if isinstance(images, int):
            images = tuple(evenly_spaced(len(dataset), images))
        indices = [image for image in images if isinstance(image, int)]
        if len(indices) < len(images):
            pipeline = central_pipeline(model, model.backbone.img_size)
            return model_inputs(model, pipeline(list(map(str, images))))
        beyond = [index for index in indices if not -len(dataset) <= index < len(dataset)]
        if beyond:
            raise ValueError(
                f"ReconstructionHook: images={beyond} is outside the training set of"
                f" {len(dataset)} images; use indices below this number"
            )
        return model_inputs(model, [dataset[index] for index in indices])


def _unwrap(model: Any) -> Any:
    name = type(model).__name__
    if is_model_wrapper(model) and ("Distributed" not in name or "FullySharded" in name):
        raise ValueError(
            f"ReconstructionHook: {name} shards parameters across processes; remove the hook and"
            " use tools/analysis_tools/visualize_reconstruction.py on a checkpoint"
        )
    return unwrap_model(model)
