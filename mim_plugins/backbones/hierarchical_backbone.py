"""Base of hierarchical encoders: forward passes of mixed and of unmixed images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..checkpoints.wrapped_names import FLAT, joined, without_wrappers
from ..errors import ConfigError
from ..layers import Grouping
from ..masking import upsample_mask
from ..number_checks import is_positive_int
from .arguments import check_side
from .base_backbone import BaseBackbone


@dataclass(frozen=True)
class MixedPlanner:
    """Function of a mask that makes one plan per stage of a hierarchical encoder.

    It contains sizes only, so a data preprocessor can hold it without holding the model.
    """

    stages: tuple[Callable[[Tensor, torch.device, Grouping], Any] | None, ...]
    """``planner`` of each stage; None if the stage takes a mask instead of a plan."""

    @torch.compiler.disable  # control flow depends on the values of the mask
    def __call__(
        self, mask: Tensor, device: torch.device, grouping: Grouping | None = None
    ) -> tuple[Any, ...]:
        """Return the plan of each stage, with tensors on ``device``.

        Args:
            mask: bool (M, h, w), True = from the partner; M = 1 or B. If it is on a GPU, the CPU
                waits for it.
            device: device of the encoder.
            grouping: windows whose tokens are sorted; by default the fastest on ``device``.
        """
        grouping = grouping or Grouping.fastest(device)
        mask = mask.cpu()
        last = len(self.stages) - 1
        masks = [upsample_mask(mask, 2 ** (last - stage)) for stage in range(len(self.stages))]
        return tuple(
            mask.to(device, non_blocking=True)
            if planner is None
            else planner(mask, device, grouping)
            for planner, mask in zip(self.stages, masks, strict=True)
        )


class HierarchicalBackbone(BaseBackbone):
    """Base of encoders whose stages successively halve the token grid.

    ``forward_mixed`` encodes mixed images with their mask, for MixMAE pre-training. ``forward``
    encodes unmixed images of any size, for transfer.

    A subclass lists its sizes in ``arch_settings`` (first key ``'depths'``), adds a module
    ``patch_embed`` and its ``stages``, implements :meth:`embed`, and ends its constructor with
    :meth:`post_init`. Each stage has a list ``blocks``, which layer-wise learning rates and
    ``torch.compile`` use. It maps tokens (B, H, W, C) and a mask to tokens (B, H', W', C'). The
    mask is None, or (M, H', W') on the device of the tokens with True = from the partner image. A
    stage whose shapes depend on the values of the mask has a ``planner`` as well: a function of the
    mask on the CPU, the device and a :class:`Grouping`. The stage gets its result instead of the
    mask, and ``torch.compile`` does not see the function.

    Args:
        arch: key of ``arch_settings`` or its first letter, or a dict with the same entries.
        patch_size: pixels per token side in the first stage.
        **kwargs: see :class:`BaseBackbone`. Each stage in ``out_indices`` has a LayerNorm; only
            that of the last stage is pre-trained.

    Raises:
        ValueError: see :class:`BaseBackbone`.
    """

    # norms of intermediate outputs are added in transfer, see load_pretrained
    allow_missing: ClassVar[dict[str, str]] = {"out_norms.": ""}
    allow_unexpected: ClassVar[tuple[str, ...]] = ("out_norms.",)

    def __init__(self, *, arch: str | dict = "base", patch_size: int = 4, **kwargs: Any) -> None:
        last = len(self.resolve_arch(arch)["depths"]) - 1
        patch_size = check_side(type(self).__name__, "patch_size", patch_size)
        super().__init__(arch=arch, encoder_stride=patch_size * 2**last, **kwargs)
        self.patch_size = patch_size
        self.stages = nn.ModuleList()
        self.norm = nn.LayerNorm(self.stage_channels[last])
        self.out_norms = nn.ModuleDict(
            {str(i): nn.LayerNorm(self.stage_channels[i]) for i in self.out_indices if i != last}
        )

    def embed(self, images: Tensor) -> Tensor:
        """Embed images (B, 3, H, W) as the tokens (B, H', W', C) of the first stage."""
        raise NotImplementedError

    def parts_to_freeze(self) -> list[nn.Module | nn.Parameter]:
        """Return the patch embedding and the first ``frozen_stages`` stages."""
        return [self.patch_embed, *self.stages[: self.frozen_stages]]

    @property
    def planner(self) -> MixedPlanner:
        """Function that makes the ``plan`` of :meth:`forward_mixed`."""
        return MixedPlanner(tuple(getattr(stage, "planner", None) for stage in self.stages))

    def forward_mixed(
        self, images: Tensor, mask: Tensor, plan: tuple[Any, ...] | None = None
    ) -> Tensor:
        """Encode mixed images; tokens attend only within the same image (MixMAE, section 3.2).

        Args:
            images: mixed images (B, 3, H, W), both sides multiples of ``encoder_stride``.
            mask: bool (M, H / stride, W / stride), True = from the partner; M = 1 or B.
            plan: result of :attr:`planner` for this mask, from the data preprocessor; made from the
                mask if None, outside of compiled graphs.

        Returns:
            Tokens (B, L, D) after the last LayerNorm, L = (H / stride) * (W / stride).

        Raises:
            ValueError: the sides of the images or the shape of the mask do not match
                ``encoder_stride``.
        """
        self._check_mixed(images, mask)
        if plan is None:
            grouping = Grouping.WHOLE_GRID if torch.compiler.is_compiling() else None
            plan = self.planner(mask, images.device, grouping)
        x = self.embed(images)
        for stage, stage_plan in zip(self.stages, plan, strict=True):
            x = stage(x, stage_plan)
        return self.norm(x).flatten(1, 2)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute features of unmixed images (B, 3, H, W) of any size.

        Returns:
            One tensor per entry of ``out_indices``: maps (B, C, ceil(H / stride),
            ceil(W / stride)) at the stride of the stage, or pooled features (B, C).
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

    @property
    def num_depths(self) -> int:
        """See :class:`BaseBackbone`."""
        return sum(self.depths) + 2

    def layer_depth(self, name: str) -> int:
        """Return the depth of a parameter for layer-wise learning rates.

        The rule is that of the MixMAE authors. The embedding has depth 0, the blocks have depths 1,
        2, .... A downsampling layer has the depth of the block after it, the last norm that of the
        last block. The last depth belongs to the head. See :class:`BaseBackbone`.

        Raises:
            ConfigError: the parameter belongs to a stage of several blocks whose list ``blocks``
                does not contain them, or joins parameters of several blocks.
        """
        part, _, rest = name.partition(".")
        if part != "stages":
            return sum(self.depths) if part in ("norm", "out_norms") else 0
        number, _, rest = rest.partition(".")
        stage, own = int(number), without_wrappers(rest)
        depth, first = self.depths[stage], sum(self.depths[:stage]) + 1
        if depth == 1:
            return first
        if own == FLAT:
            raise ConfigError(joined(self, name))
        module = self.stages[stage]
        blocks = getattr(module, "blocks", None)
        listed = len(blocks) if isinstance(blocks, (nn.ModuleList, nn.Sequential)) else 0
        # by identity, because another module may wrap the stage
        found = next((path for path, each in module.named_modules() if each is blocks), None)
        if found is None or listed != depth:
            raise ConfigError(
                f"{type(self).__name__}: stages[{stage}].blocks contains {listed} blocks, but"
                f" layer-wise learning rates require {depth}, as in arch['depths']; name the list"
                " of the blocks of each stage 'blocks', or override layer_depth"
            )
        path = without_wrappers(found) + "."
        is_block = own.startswith(path)
        return first + (int(own.removeprefix(path).partition(".")[0]) if is_block else 0)

    def per_stage(
        self, name: str, value: int | str | Sequence[int | str], keyword: str | None = None
    ) -> tuple:
        """Expand an argument to one positive integer, or ``keyword``, per stage.

        Args:
            name: name of the argument, for messages.
            value: one entry for all stages, or one entry per stage.
            keyword: string that is also allowed as an entry.

        Raises:
            ValueError: the number of entries is not that of the stages, or an entry is not allowed.
        """
        stages = len(self.depths)
        values: tuple = tuple(value) if isinstance(value, (list, tuple)) else (value,) * stages
        valid = (
            is_positive_int(each) or (each == keyword and keyword is not None) for each in values
        )
        if len(values) != stages or not all(valid):
            raise ValueError(
                f"{type(self).__name__}: {name}={value!r} must be one integer, or {stages} integers"
                " (one per stage), each at least 1" + (f" or {keyword!r}" if keyword else "")
            )
        return values

    def _check_mixed(self, images: Tensor, mask: Tensor) -> None:
        batch, _, height, width = images.shape
        stride = self.encoder_stride
        if height % stride or width % stride:
            raise ValueError(
                f"{type(self).__name__}: both sides of images of {height}x{width} pixels must be"
                f" multiples of the encoder stride {stride} in pre-training"
            )
        grid = (height // stride, width // stride)
        if mask.ndim != 3 or tuple(mask.shape[1:]) != grid or mask.shape[0] not in (1, batch):
            raise ValueError(
                f"{type(self).__name__}: mask of shape {tuple(mask.shape)} must have the shape"
                f" (1, {grid[0]}, {grid[1]}) or ({batch}, {grid[0]}, {grid[1]}) for images of"
                f" {height}x{width} pixels"
            )
