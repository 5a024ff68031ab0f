"""Export of an encoder: a plain file with our names, or timm's names."""

import re
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import CheckpointError
from .reading import read_tensors
from .selection import BACKBONE, backbone_class, select_encoder
from .tensor_check import require_weights
from .writing import write_checkpoint

FORMATS = ("safetensors", "timm", "torch")
_FORMAT_VERSION = "1"

_BLOCK = r"\d+\.(?:norm[12]|attn\.(?:qkv|proj)|mlp\.fc[12])\.(?:weight|bias)"
# names that timm has under another name (its name as replacement) or the same one
_VIT_TO_TIMM = (
    (r"patch_embed\.(\w+)", r"patch_embed.proj.\1"),
    (rf"(cls_token|pos_embed|blocks\.{_BLOCK}|(?:fc_)?norm\.\w+)", r"\1"),
)
_SWIN_TO_TIMM = (
    (r"(patch_embed\.(?:proj|norm)\.\w+|norm\.\w+)", r"\1"),
    (r"stages\.(\d+\.downsample\.(?:norm|reduction)\.\w+)", r"layers.\1"),
    (rf"stages\.(\d+\.blocks\.{_BLOCK})", r"layers.\1"),
    (r"stages\.(\d+\.blocks\.\d+\.attn\.relative_position_bias_table)", r"layers.\1"),
    (r"(pos_embed|out_norms\..*)", r"\1"),  # not timm's
)


class Exported(NamedTuple):
    """What was written."""

    backbone: str | None
    """Class that the tensors belong to, if known."""
    origin: str
    """Where in the source they were: a prefix or the name of a layout."""
    tensors: dict[str, Tensor]
    """What the file holds."""
    foreign: tuple[str, ...]
    """Tensors that timm's model of this kind does not have."""


def export_backbone(
    source: str | Path,
    target: str | Path,
    file_format: str = "safetensors",
    prefix: str = BACKBONE,
    overwrite: bool = False,
) -> Exported:
    """Write the encoder of a checkpoint, bit by bit, to a file of its own.

    Args:
        source: a checkpoint of pre-training or fine-tuning, or any that :func:`convert` knows.
        target: file to write.
        file_format: ``'safetensors'`` and ``'torch'`` keep our names; ``'timm'`` gives timm's to
            ``MaskedViT`` and ``MaskedSwin``, in a safetensors file if ``target`` ends so, else in
            a PyTorch file.
        prefix: what the encoder's names begin with in ``source``.
        overwrite: replace ``target`` if it exists.

    Raises:
        CheckpointError: ``source`` cannot be read, holds no encoder or no usable weights, timm has
            no such model, or ``target`` cannot be written.
    """
    if file_format not in FORMATS:
        raise CheckpointError(f"format {file_format!r} must be one of {FORMATS}")
    is_safetensors = Path(target).suffix == ".safetensors"
    if file_format == "safetensors" and not is_safetensors:
        raise CheckpointError(f"'{target}': a file of format safetensors must end in .safetensors")
    if file_format == "torch" and is_safetensors:
        raise CheckpointError(f"'{target}': a file of format torch must not end in .safetensors")
    encoder = select_encoder(
        read_tensors(source),
        prefix,
        lambda names: 1.0 if backbone_class(names) else 0.0,
        str(source),
        "any backbone of mim_plugins",
    )
    require_weights(encoder.tensors, source)
    backbone = backbone_class(encoder.tensors)
    tensors = {name: tensor.detach().contiguous() for name, tensor in encoder.tensors.items()}
    if file_format == "timm":
        tensors = to_timm(tensors, backbone)
    about = dict(mim_plugins_format=_FORMAT_VERSION, names=file_format, source=Path(source).name)
    if backbone is not None:
        about["backbone"] = backbone
    # timm wants the names at the top of the file
    content = tensors if file_format == "timm" else dict(meta=about, state_dict=tensors)

    def write(path: Path) -> None:
        if is_safetensors:
            _save_safetensors(path, tensors, about)
        else:
            torch.save(content, path)

    write_checkpoint(target, write, overwrite)
    has_foreign = file_format == "timm" and backbone == "MaskedSwin"
    extra = [name for name in tensors if name.startswith(("pos_embed", "out_norms."))]
    return Exported(backbone, encoder.origin, tensors, tuple(extra) if has_foreign else ())


def to_timm(tensors: dict[str, Tensor], backbone: str | None) -> dict[str, Tensor]:
    """An encoder's tensors under timm's names.

    A ``MaskedViT`` becomes a ``VisionTransformer`` with the same outputs; its [CLS] token has
    position zero. timm's ``SwinTransformer`` has no position embedding: ``pos_embed`` keeps its
    name and shape (1, H, W, C), and so do norms between the stages; it shifts windows, as does
    ``MaskedSwin`` with ``shift_windows=True``.

    Raises:
        CheckpointError: timm has no such model, or no place for one of the tensors.
    """
    if backbone not in ("MaskedViT", "MaskedSwin"):
        raise CheckpointError(
            f"timm has no model for {backbone or 'an encoder that is none of ours'}: export with"
            " --format safetensors; names for timm exist for MaskedViT and MaskedSwin"
        )
    rules = _VIT_TO_TIMM if backbone == "MaskedViT" else _SWIN_TO_TIMM
    renamed, unknown = {}, []
    for name, tensor in tensors.items():
        for pattern, replacement in rules:
            match = re.fullmatch(pattern, name)
            if match:
                renamed[match.expand(replacement)] = tensor
                break
        else:
            unknown.append(name)
    if unknown:
        raise CheckpointError(
            f"timm's model for {backbone} has no place for {', '.join(unknown)}: export with"
            " --format safetensors"
        )
    if backbone == "MaskedViT":
        renamed["pos_embed"] = _tokens_from_grid(renamed["pos_embed"], "cls_token" in renamed)
    return renamed


def _tokens_from_grid(position: Tensor, has_cls_token: bool) -> Tensor:
    """(1, H, W, D) to (1, L, D), with a zero row for a [CLS] token before it."""
    _, height, width, _ = position.shape
    if height != width:
        raise CheckpointError(
            f"the position embedding's grid is {height}x{width}; timm's file keeps no grid, so that"
            " only a square one can be read back: export with --format safetensors"
        )
    return F.pad(position.flatten(1, 2), (0, 0, 1, 0) if has_cls_token else (0, 0))


def _save_safetensors(path: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise CheckpointError(
            "writing this file needs the package safetensors: pip install safetensors, or export"
            " with --format torch"
        ) from error
    save_file(tensors, path, metadata={"format": "pt", **about})
