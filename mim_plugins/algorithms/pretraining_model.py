"""Base of the pre-training algorithms: their interface to MMEngine."""

import copy
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from ..checkpoints import strict_init_cfg
from ..data_preprocessors import reverses_channels
from ..datasets.pipelines import check_not_normalized
from ..errors import ConfigError
from ..registry import MODELS
from ..targets import TargetGenerator
from ..transforms.center_crop import center_crop
from .compilation import (
    SCOPES,
    compilable_blocks,
    compilable_parts,
    compile_parts,
    has_many_rates,
    set_memory_budget,
)


class PretrainingModel(BaseModel):
    """Base of the pre-training algorithms.

    A subclass sets ``backbone`` and implements :meth:`loss`.

    Args:
        data_preprocessor: config of the data preprocessor.
        init_cfg: MMEngine's.
    """

    backbone: Any
    init_cfg: dict | list[dict] | None
    run_config: Any = None
    """Config that the model was built from, if it is known."""

    def __init__(self, data_preprocessor: dict, init_cfg: dict | None = None) -> None:
        super().__init__(MODELS.build(data_preprocessor), init_cfg)

    def init_weights(self) -> None:
        """Initialize according to ``init_cfg``; load ``Pretrained`` checkpoints strictly.

        Raises:
            CheckpointError: the checkpoint does not match; see :func:`load_pretrained`.
        """
        self.init_cfg = strict_init_cfg(self.init_cfg)
        super().init_weights()

    def forward(
        self, inputs: Any, data_samples: list | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | tuple[Tensor, ...]:
        """Dispatch a call of MMEngine's runner.

        Args:
            inputs: output of the data preprocessor for ``mode='loss'``, images (B, 3, H, W) for
                ``mode='tensor'``.
            data_samples: ignored.
            mode: ``'loss'`` for the losses of a training step, ``'tensor'`` for features.

        Raises:
            ConfigError: ``mode`` is unknown.
        """
        if mode == "loss":
            return self.loss(inputs)
        if mode == "tensor":
            return self.extract_feat(inputs)
        classes = "; it predicts no classes: fine-tune it first" if mode == "predict" else ""
        raise ConfigError(
            f"{type(self).__name__}: mode={mode!r} must be 'loss' or 'tensor'{classes}"
        )

    @property
    def _config(self) -> Any:
        """Config for mmpretrain's inferencers, which read the test pipeline from this attribute.

        Pre-training configs have none, so the usual center crop is added.

        Raises:
            ConfigError: the model does not convert the BGR images that inferencers load, or its
                training pipeline normalizes images.
        """
        given = self.run_config
        if given is None or given.get("test_dataloader") is not None:
            return given
        if not reverses_channels(self.data_preprocessor):
            raise ConfigError(
                f"{type(self).__name__}: mmpretrain's inferencers load BGR images, but the model"
                " does not convert BGR to RGB; use mim_plugins.extract_features"
            )
        check_not_normalized(given.get("train_dataloader"), "train_dataloader")
        _, *steps = center_crop(getattr(self.backbone, "img_size", 224))
        completed = copy.deepcopy(given)
        completed.test_dataloader = dict(dataset=dict(pipeline=steps))
        return completed

    @_config.setter
    def _config(self, config: Any) -> None:
        self.run_config = config

    def compile(
        self, *args: Any, scope: str | None = None, memory_budget: float = 1.0, **kwargs: Any
    ) -> None:
        """Compile parts or model by ``torch.compile``, in place; checkpoint keys do not change.

        Blocks of equal sizes share one graph. Swin-B has 8 graphs, its decoder and its loss one
        each, which takes a fifth of the time of compiling the model as one graph. With stochastic
        depth, each rate would be another graph, so the default is the model.

        Args:
            *args: see ``torch.compile``.
            scope: ``'blocks'`` for the blocks of encoder, decoder and teachers, the embedding and
                merging of patches and the pixel loss, each by itself; ``'model'`` for one graph.
            memory_budget: see :func:`set_memory_budget`.
            **kwargs: see ``torch.compile``; ``dynamic`` is False by default.

        Raises:
            ConfigError: ``scope`` or ``memory_budget`` is not allowed.
        """
        if scope not in (None, *SCOPES):
            raise ConfigError(f"compile: scope={scope!r} must be one of {', '.join(SCOPES)}")
        set_memory_budget(self, memory_budget)
        blocks = compilable_blocks(self)
        if scope is None:
            scope = "blocks" if blocks and not has_many_rates(blocks) else "model"
        kwargs.setdefault("dynamic", False)
        self.data_preprocessor.static_shapes = True
        if scope == "model":
            super().compile(*args, **kwargs)
            return
        compile_parts(compilable_parts(self), *args, **kwargs)
        for name, mimic in getattr(self, "mimics", {}).items():
            teacher, focus = mimic.target_generator, getattr(self, "focus_teacher", None)
            # the attention of the focus teacher is recorded inside its blocks
            if name != focus and isinstance(teacher, TargetGenerator):
                teacher.compile_blocks(*args, **kwargs)

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """Compute the losses of one training step, by name."""
        raise NotImplementedError

    def extract_feat(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the backbone's features of unmasked images (B, 3, H, W)."""
        return self.backbone(images)
