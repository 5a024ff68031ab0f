"""Base of the encoders: sizes, arguments, initialization and freezing."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from mmengine.model import BaseModule
from torch import nn

from ..checkpoints import strict_init_cfg
from ..checkpoints.wrapped_names import FLAT, WRAPPERS, joined
from ..errors import ConfigError
from ..layers import init_linear_and_norm
from .arguments import (
    check_frozen_stages,
    check_heads,
    check_img_size,
    check_in_channels,
    check_out_indices,
    check_out_type,
    check_rate,
    check_side,
    resolve_arch,
)


class StageInfo(NamedTuple):
    """Resolution of an encoder."""

    stride: int
    """Pixels per token side."""
    grid: tuple[int, int]
    """Tokens (h, w) of an unmasked image."""
    channels: int
    blocks: int


class BaseBackbone(BaseModule):
    """Base of hierarchical and plain encoders.

    A subclass lists its sizes in ``arch_settings``, builds its modules, implements
    :meth:`parts_to_freeze`, :attr:`num_depths` and :meth:`layer_depth`, and ends its constructor
    with :meth:`post_init`.

    Args:
        arch: key of ``arch_settings`` or its first letter, or a dict with the same entries.
        img_size: side or (H, W), in pixels, for which position embeddings are made. Pre-training
            needs multiples of ``encoder_stride``.
        encoder_stride: pixels per token side in the last stage.
        in_channels: channels of the images.
        out_indices: outputs that ``forward`` returns, counted from 0; negative indices count from
            the last.
        out_type: ``'featmap'`` for maps (B, C, H, W), ``'avg_featmap'`` for pooled features (B, C).
        frozen_stages: -1 freezes nothing, 0 the embedding, n also the first n stages.
        with_cp: gradient checkpointing of each block: less memory, one more forward pass.
        init_cfg: MMEngine's, such as ``dict(type='Pretrained', checkpoint=..., prefix=...)``.

    Raises:
        ValueError: an argument has a value that is not allowed; the message lists the allowed ones.
    """

    arch_settings: ClassVar[dict[str, dict]] = {}
    fixed_stages: ClassVar[bool] = False
    """True if a dict as ``arch`` must have as many stages as ``arch_settings``."""
    allow_missing: ClassVar[dict[str, str]] = {}
    """See :func:`load_pretrained`."""
    allow_unexpected: ClassVar[tuple[str, ...]] = ()
    """See :func:`load_pretrained`."""
    init_cfg: dict | list[dict] | None

    def __init__(
        self,
        *,
        arch: str | dict = "base",
        img_size: int | Sequence[int] = 224,
        encoder_stride: int = 16,
        in_channels: int = 3,
        out_indices: int | Sequence[int] = (-1,),
        out_type: str = "featmap",
        frozen_stages: int = -1,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        name = type(self).__name__
        self.settings = self.resolve_arch(arch)
        self.depths: tuple[int, ...] = tuple(
            self.settings.get("depths") or (self.settings["depth"],)
        )
        dims = self.settings["embed_dims"]
        if isinstance(dims, int):
            dims = [dims * 2**stage for stage in range(len(self.depths))]
        self.stage_channels: tuple[int, ...] = tuple(dims)
        check_heads(name, self.stage_channels, self.settings.get("num_heads", 1))
        self.encoder_stride = check_side(name, "encoder_stride", encoder_stride)
        self.img_size = check_img_size(name, img_size)
        self.in_channels = check_in_channels(name, in_channels)
        self.out_type = check_out_type(name, out_type)
        self.out_indices = check_out_indices(name, out_indices, self.num_outputs)
        self.frozen_stages = check_frozen_stages(name, frozen_stages, self.max_frozen_stages)
        self.with_cp = with_cp

    @classmethod
    def resolve_arch(cls, arch: str | dict) -> dict:
        """Return the sizes of ``arch``.

        Raises:
            ValueError: see :func:`resolve_arch`.
        """
        may_double = () if cls.fixed_stages else ("embed_dims",)
        return resolve_arch(cls.__name__, cls.arch_settings, arch, may_double, cls.fixed_stages)

    @property
    def num_outputs(self) -> int:
        """Number of outputs that ``out_indices`` selects from."""
        return len(self.depths)

    @property
    def out_channels(self) -> int:
        """Channels of the last output, from which features are pooled."""
        # the outputs of a plain encoder are those of the blocks of its only stage
        return self.stage_channels[min(self.out_indices[-1], len(self.stage_channels) - 1)]

    @property
    def max_frozen_stages(self) -> int:
        """Largest value of ``frozen_stages``."""
        return self.num_outputs

    def stages_info(self, img_size: tuple[int, int] | None = None) -> list[StageInfo]:
        """Return the resolutions for images of ``img_size`` (H, W); by default the configured."""
        height, width = img_size or self.img_size
        infos = []
        for stage, (channels, blocks) in enumerate(
            zip(self.stage_channels, self.depths, strict=True)
        ):
            stride = self.encoder_stride // 2 ** (len(self.depths) - 1 - stage)
            grid = (-(-height // stride), -(-width // stride))
            infos.append(StageInfo(stride, grid, channels, blocks))
        return infos

    def drop_path_rates(self, last: float) -> list[list[float]]:
        """Return the stochastic depth of each block by stage, growing linearly to ``last``.

        Raises:
            ValueError: see :func:`check_rate`.
        """
        check_rate(type(self).__name__, "drop_path_rate", last)
        steps = max(sum(self.depths) - 1, 1)
        rates = (last * block / steps for block in range(sum(self.depths)))
        return [[next(rates) for _ in range(depth)] for depth in self.depths]

    def post_init(self) -> None:
        """Initialize linear layers and norms, then freeze; the last call of a constructor."""
        self.apply(init_linear_and_norm)
        self._freeze()

    def init_weights(self) -> None:
        """Initialize according to ``init_cfg``; load ``Pretrained`` checkpoints strictly.

        Raises:
            CheckpointError: the checkpoint cannot be read or does not match; see
                :func:`load_pretrained`.
        """
        self.init_cfg = strict_init_cfg(self.init_cfg)
        super().init_weights()

    def train(self, mode: bool = True) -> "BaseBackbone":
        """Set training mode; frozen parts stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def parts_to_freeze(self) -> list[nn.Module | nn.Parameter]:
        """Return the modules and parameters that ``frozen_stages``, at least 0, freezes."""
        raise NotImplementedError

    def no_weight_decay(self) -> set[str]:
        """Return the parameters without weight decay, in addition to biases and norms."""
        return set()

    @property
    def num_depths(self) -> int:
        """Number of depths for layer-wise learning rates; the last one belongs to the head."""
        raise NotImplementedError

    def layer_depth(self, name: str) -> int:
        """Return the depth of the encoder's parameter ``name``; that of the embedding is 0."""
        raise NotImplementedError

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Return the depth of a parameter for layer-wise learning rates, and the number of depths.

        Parameters of other parts of the model have the depth of the head, as mmpretrain's
        constructor of optimizers expects.

        Args:
            param_name: name of the parameter in the model. Wrappers of the encoder, such as that of
                ``torch.compile``, may be part of it.
            prefix: name of the encoder in the model, with a trailing dot.

        Raises:
            ConfigError: the depth is unknown, because the parameter is not one of the encoder, or
                FSDP1 has joined it with those of other depths.
        """
        if not param_name.startswith(prefix):
            return self.num_depths - 1, self.num_depths
        name = param_name.removeprefix(prefix)
        part, _, rest = name.partition(".")
        while rest and part in WRAPPERS and not hasattr(self, part):
            name = rest
            part, _, rest = name.partition(".")
        if part == FLAT:
            raise ConfigError(joined(self, name))
        if not hasattr(self, part):
            raise ConfigError(
                f"{type(self).__name__}: the depth of '{name}' for layer-wise learning rates is"
                " unknown, because it is not a parameter of this encoder; build the optimizer"
                " before the encoder is wrapped, or set layer_decay_rate=1.0"
            )
        return self.layer_depth(name), self.num_depths

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for part in self.parts_to_freeze():
            part.requires_grad_(False)
            if isinstance(part, nn.Module):
                part.eval()
