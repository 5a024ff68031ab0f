"""What hierarchical encoders share: the two ways through their stages, and their arguments."""

from collections.abc import Sequence
from typing import ClassVar

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..checkpoints import strict_init_cfg
from ..layers import init_linear_and_norm
from .arguments import (
    check_frozen_stages,
    check_img_size,
    check_out_indices,
    check_out_type,
    is_positive_int,
    resolve_arch,
)


class HierarchicalBackbone(BaseModule):
    """Base of encoders whose stages each halve the grid of the one before.

    ``forward_mixed`` reads mixed images with their mask, for MixMAE pre-training; ``forward``
    reads plain images of any size and returns feature maps or pooled features, for transfer.

    A subclass names its sizes in ``arch_settings`` (first key ``'depths'``), fills ``stages`` with
    modules that map tokens (B, H, W, C) and a mask (M, H', W') on the CPU, or None, to tokens
    (B, H', W', C'), implements :meth:`embed`, and ends its constructor with :meth:`finish`.

    Args:
        arch: a name in ``arch_settings`` or its first letter, or a dict with the same keys.
        img_size: side or (H, W), in pixels, that position embeddings and windows are made for.
        patch_size: pixels per token side in the first stage.
        out_indices: stages whose output ``forward`` returns, counted from 0; negative counts from
            the last. Every returned stage has a LayerNorm; the last stage's is pre-trained.
        out_type: ``'featmap'`` for maps (B, C, H, W), ``'avg_featmap'`` for their mean (B, C).
        frozen_stages: -1 freezes nothing, 0 the patch embedding, n also the first n stages.
        init_cfg: MMEngine's, such as ``dict(type='Pretrained', checkpoint=..., prefix=...)``.

    Raises:
        ValueError: unknown ``arch`` or ``out_type``, numbers per stage that do not agree,
            ``img_size`` that is not a multiple of the encoder stride, stages out of range.
    """

    arch_settings: ClassVar[dict[str, dict]] = {}
    init_cfg: dict | list[dict] | None
    # see load_pretrained: norms of intermediate outputs come with transfer
    allow_missing: ClassVar[dict[str, str]] = {"out_norms.": ""}
    allow_unexpected: ClassVar[tuple[str, ...]] = ("out_norms.",)
    in_channels: int = 3
    """Channels of the images; a subclass that reads others sets it."""

    def __init__(
        self,
        arch: str | dict,
        img_size: int | Sequence[int],
        patch_size: int,
        out_indices: int | Sequence[int],
        out_type: str,
        frozen_stages: int,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        self.settings = self.resolve_arch(arch)
        self.depths: tuple[int, ...] = tuple(self.settings["depths"])
        self.patch_size = patch_size
        self.encoder_stride = patch_size * 2 ** (len(self.depths) - 1)
        name = type(self).__name__
        self.img_size = check_img_size(name, img_size, self.encoder_stride)
        self.out_type = check_out_type(name, out_type)
        self.out_indices = check_out_indices(name, out_indices, len(self.depths))
        self.frozen_stages = frozen_stages
        dims = self.settings["embed_dims"]
        if isinstance(dims, int):
            dims = [dims * 2**stage for stage in range(len(self.depths))]
        self.stage_channels: tuple[int, ...] = tuple(dims)
        self._check_arguments()
        self.stages = nn.ModuleList()
        last = len(self.depths) - 1
        self.norm = nn.LayerNorm(self.stage_channels[last])
        self.out_norms = nn.ModuleDict(
            {str(i): nn.LayerNorm(self.stage_channels[i]) for i in self.out_indices if i != last}
        )

    @classmethod
    def resolve_arch(cls, arch: str | dict) -> dict:
        """The sizes that ``arch`` names.

        Raises:
            ValueError: see :func:`resolve_arch`.
        """
        return resolve_arch(cls.__name__, cls.arch_settings, arch, may_double=("embed_dims",))

    def embed(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) to the tokens (B, H', W', C) that the first stage reads."""
        raise NotImplementedError

    def embedding_modules(self) -> list[nn.Module]:
        """What :meth:`embed` consists of, to be frozen with the first stages."""
        return [self.patch_embed]

    def finish(self) -> None:
        """Initialise the weights and freeze what is to be frozen, once all modules exist."""
        self.apply(init_linear_and_norm)
        self._freeze()

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says, with ``Pretrained`` loaded strictly.

        Raises:
            CheckpointError: the checkpoint cannot be read or does not fit; see
                :func:`load_pretrained`.
        """
        self.init_cfg = strict_init_cfg(self.init_cfg)
        super().init_weights()

    def forward_mixed(self, images: Tensor, mask: Tensor) -> Tensor:
        """Encode mixed images; no token sees a token of the other image (MixMAE, section 3.2).

        Args:
            images: mixed images (B, 3, H, W), both sides multiples of ``encoder_stride``.
            mask: bool (M, H / stride, W / stride), True = from the partner; M = 1 or B.

        Returns:
            Tokens (B, L, D) after the last LayerNorm, L = (H / stride) * (W / stride).

        Raises:
            ValueError: sides or mask do not fit ``encoder_stride``.
        """
        self._check_mixed(images, mask)
        x = self.embed(images)
        mask = mask.cpu()  # where stages count its tokens without waiting for the device
        for index, stage in enumerate(self.stages):
            factor = 2 ** (len(self.stages) - 1 - index)
            x = stage(x, mask.repeat_interleave(factor, 1).repeat_interleave(factor, 2))
        return self.norm(x).flatten(1, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of plain images (B, 3, H, W) of any size, one tensor per ``out_indices``.

        Maps are (B, C, ceil(H / stride), ceil(W / stride)) with the stage's own stride; pooled
        features are (B, C).
        """
        x = self.embed(images)
        outputs = {}
        for index, stage in enumerate(self.stages):
            x = stage(x, None)
            if index in self.out_indices:
                last = index == len(self.stages) - 1
                tokens = (self.norm if last else self.out_norms[str(index)])(x)
                outputs[index] = (
                    tokens.mean(dim=(1, 2))
                    if self.out_type == "avg_featmap"
                    else tokens.permute(0, 3, 1, 2).contiguous()
                )
        return tuple(outputs[index] for index in self.out_indices)

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Depth of a parameter for layer-wise learning rates, and the number of depths.

        The embedding is 0, blocks are 1, 2, ..., a down-sampling counts with the block after it,
        the last norm with the last block (the MixMAE authors' rule). The last of the depths is
        left to the head.
        """
        parts = param_name.removeprefix(prefix).split(".")
        depth = sum(self.depths)
        if parts[0] in ("patch_embed", "pos_embed"):
            depth = 0
        elif parts[0] == "stages":
            depth = sum(self.depths[: int(parts[1])]) + 1
            depth += int(parts[3]) if parts[2] == "blocks" else 0
        return depth, sum(self.depths) + 2

    def train(self, mode: bool = True) -> "HierarchicalBackbone":
        """Set training mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def stage_grid(self, stage: int) -> tuple[int, int]:
        """Tokens (H, W) of a stage at ``img_size``."""
        stride = self.patch_size * 2**stage
        return self.img_size[0] // stride, self.img_size[1] // stride

    def drop_path_rates(self, last: float) -> list[list[float]]:
        """Stochastic depth per stage and block, growing linearly from 0 to ``last``."""
        steps = max(sum(self.depths) - 1, 1)
        rates = (last * block / steps for block in range(sum(self.depths)))
        return [[next(rates) for _ in range(depth)] for depth in self.depths]

    def per_stage(
        self, name: str, value: int | str | Sequence[int | str], word: str | None = None
    ) -> tuple:
        """One positive whole number per stage from an argument that may be a single number.

        A ``word`` may stand in place of a number.

        Raises:
            ValueError: their count is not the number of stages, or one is no such number.
        """
        stages = len(self.depths)
        values: tuple = tuple(value) if isinstance(value, (list, tuple)) else (value,) * stages
        valid = (is_positive_int(each) or (each == word and word is not None) for each in values)
        if len(values) != stages or not all(valid):
            raise ValueError(
                f"{name}={value!r}: expected one whole number or {stages} (one per stage), each"
                " at least 1" + (f" or {word!r}" if word else "")
            )
        return values

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for module in (*self.embedding_modules(), *self.stages[: self.frozen_stages]):
            module.eval()
            module.requires_grad_(False)

    def _check_arguments(self) -> None:
        name, stages = type(self).__name__, len(self.depths)
        heads = self.settings.get("num_heads", (1,) * stages)
        if any(dim % num for dim, num in zip(self.stage_channels, heads, strict=True)):
            raise ValueError(
                f"{name}: the stages' widths {self.stage_channels} must be multiples of"
                f" num_heads={tuple(heads)}"
            )
        check_frozen_stages(name, self.frozen_stages, stages)

    def _check_mixed(self, images: Tensor, mask: Tensor) -> None:
        batch, _, height, width = images.shape
        stride = self.encoder_stride
        if height % stride or width % stride:
            raise ValueError(
                f"images of {height}x{width} pixels: in pre-training both sides must be multiples"
                f" of the encoder stride {stride}"
            )
        grid = (height // stride, width // stride)
        if mask.ndim != 3 or tuple(mask.shape[1:]) != grid or mask.shape[0] not in (1, batch):
            raise ValueError(
                f"mask of shape {tuple(mask.shape)} must be (1, {grid[0]}, {grid[1]}) or"
                f" ({batch}, {grid[0]}, {grid[1]}) for images of {height}x{width} pixels"
            )
