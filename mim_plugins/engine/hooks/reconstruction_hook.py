"""Hook that shows, during training, what a model reconstructs."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from ...apis.inputs import central_pipeline, model_inputs
from ...registry import HOOKS
from ...sampling import evenly_spaced
from ...visualization import draw_grid, isolated_eval, reconstruction_panels
from ...visualization.panels import check_reconstructs, panel_caption


@HOOKS.register_module()
class ReconstructionHook(Hook):
    """Send a picture of reconstructions to the visualizer's backends (files, TensorBoard, WandB).

    The images, their masks and their mixtures are the same every time. Only the main process
    draws, in evaluation mode and float32; the training stays the same to the bit. The first picture
    is drawn before training, but not sent; one that fails later is left out with a warning.

    Args:
        interval: epochs between pictures.
        by_epoch: if not, ``interval`` is in iterations.
        images: how many training images, evenly spaced over the data set; or the indices of
            training images; or paths of image files. Training images go once through the training
            pipeline, files are resized and cropped in their center. MixMAE needs at least 2.
        name: of the picture in the backends.
        seed: of masks, mixtures and the pipeline.

    Raises:
        ValueError: ``interval`` below 1, no ``images``; before the first iteration: a model that
            reconstructs nothing, or parameters that are distributed over processes.
        FileNotFoundError: before the first iteration: there is no such image.
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
        if interval < 1:
            raise ValueError(f"ReconstructionHook: interval={interval} must be at least 1")
        if isinstance(images, int) and images < 1:
            raise ValueError(f"ReconstructionHook: images={images} must be at least 1")
        if not images:
            raise ValueError("ReconstructionHook: images is empty; give a number, indices or paths")
        self.interval = interval
        self.by_epoch = by_epoch
        self.images = images if isinstance(images, int) else tuple(images)
        self.name = name
        self.seed = seed
        self._batch: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Read the images and draw once, so that what is wrong is known before training."""
        if not is_main_process():
            return
        model = _unwrap(runner.model)
        check_reconstructs(model)
        with isolated_eval(model, self.seed):
            self._batch = self._read(runner, model)
        self._picture(model, self._batch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Draw after every ``interval``-th epoch."""
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self.draw(runner, runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Draw after every ``interval``-th iteration."""
        if not self.by_epoch and self.every_n_train_iters(runner, self.interval):
            self.draw(runner, runner.iter + 1)

    def draw(self, runner: Runner, step: int) -> None:
        """Draw and send the picture, filed under the number of iterations done.

        A picture that fails, as with a full disk or GPU, is left out with a warning.
        """
        if self._batch is None:  # not the main process
            return
        try:
            picture = self._picture(_unwrap(runner.model), self._batch)
            runner.visualizer.add_image(self.name, picture, step)
        except Exception as error:  # backends of any kind raise what they like
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
        """Normalised images (B, C, H, W) on the model's device."""
        dataset, images = runner.train_dataloader.dataset, self.images
        if isinstance(images, int):
            images = tuple(evenly_spaced(len(dataset), images))
        indices = [image for image in images if isinstance(image, int)]
        if len(indices) < len(images):
            pipeline = central_pipeline(model, max(model.backbone.img_size))
            return model_inputs(model, pipeline(list(map(str, images))))
        beyond = [index for index in indices if not -len(dataset) <= index < len(dataset)]
        if beyond:
            raise ValueError(
                f"ReconstructionHook: images={beyond} are not among the {len(dataset)} of the"
                " training set"
            )
        return model_inputs(model, [dataset[index] for index in indices])


def _unwrap(model: Any) -> Any:
    if not is_model_wrapper(model):
        return model
    if "Distributed" in type(model).__name__ and "FullySharded" not in type(model).__name__:
        return model.module
    raise ValueError(
        f"ReconstructionHook: {type(model).__name__} keeps parameters on several processes; leave"
        " the hook out and use tools/analysis_tools/visualize_reconstruction.py on a checkpoint"
    )
